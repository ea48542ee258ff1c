import { buildSync, type BuildFailure, type Message, type Metafile } from 'esbuild';

/** A problem in a file, for example a missing import. */
export interface SourceProblem {
  /** For example `src/worker.ts:12:5`. */
  position: string;
  text: string;
  /** The line of the file. */
  line: string;
}

/** The files that are loaded at run time, with paths like `src/worker.ts`, and what each of them imports. */
export type Imports = Metafile['inputs'];

/** Returns `entryPoints` and the files that they import, or the problems in these files. Leaves out imports of types. */
export function readImports(root: string, entryPoints: readonly string[]): Imports | SourceProblem[] {
  try {
    const { metafile } = buildSync({
      absWorkingDir: root,
      stdin: { contents: entryPoints.map((path) => `import './${path}';`).join('\n'), resolveDir: root },
      bundle: true,
      metafile: true,
      write: false,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'silent',
    });
    const { '<stdin>': _entry, ...imports } = metafile.inputs;
    return imports;
  } catch (error) {
    const { errors } = error as BuildFailure;
    if (!Array.isArray(errors)) throw error;
    return errors.map(toProblem);
  }
}

/** Returns `entry` and all files that it imports, directly or through other files for which `isFollowed` is true. */
export function filesLoadedWith(entry: string, imports: Imports, isFollowed = (_file: string) => true): Set<string> {
  const loaded = new Set([entry]);
  for (const file of loaded)
    for (const { path, external } of imports[file]?.imports ?? []) if (!external && isFollowed(path)) loaded.add(path);
  return loaded;
}

/** Formats a problem as three lines. */
export const formatProblem = (kind: string, { position, text, line }: SourceProblem): string =>
  `${kind}: ${position}\n  ${text}\n  > ${line}`;

const toProblem = ({ text, location }: Message): SourceProblem => ({
  position: location ? `${location.file}:${location.line}:${location.column + 1}` : 'src',
  text,
  line: location?.lineText.trim() ?? '',
});
