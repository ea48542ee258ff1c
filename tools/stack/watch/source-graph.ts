import { builtinModules } from 'node:module';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type BuildFailure, type Message, type Metafile } from 'esbuild';
import { projectRoot } from '../../settings/environment.js';

/** The entry points of the processes that restart, and of the workflow bundle. */
const ENTRY_POINTS = {
  worker: 'src/worker.ts',
  api: 'src/api/server.ts',
  workflows: 'src/workflows/index.ts',
} as const;
export type Program = keyof typeof ENTRY_POINTS;

/** A problem in a file, for example a missing import. */
export interface SourceProblem {
  /** For example `src/worker.ts:12:5`. */
  position: string;
  text: string;
  /** The line of the file. */
  line: string;
}

/** The files of each program, with paths like `src/worker.ts`, or the problems because of which it would not start. */
export type SourceGraph = { files: Record<Program, ReadonlySet<string>> } | { problems: SourceProblem[] };

export async function readSourceGraph(root = projectRoot): Promise<SourceGraph> {
  const [worker, api, workflows] = await Promise.all(
    Object.values(ENTRY_POINTS).map((entryPoint) => readInputs(root, entryPoint)),
  );
  const problems = [worker!, api!, workflows!].flatMap((inputs) => (Array.isArray(inputs) ? inputs : []));
  if (Array.isArray(worker) || Array.isArray(api) || Array.isArray(workflows))
    return { problems: [...new Map(problems.map((problem) => [problem.position, problem])).values()] };
  const forbidden = await findForbiddenImports(root, workflows!);
  if (forbidden.length > 0) return { problems: forbidden };
  const filesOf = (inputs: Metafile['inputs']) => new Set(Object.keys(inputs));
  return { files: { worker: filesOf(worker!), api: filesOf(api!), workflows: filesOf(workflows!) } };
}

/** Returns the files of a program with their imports, or the problems in these files. */
async function readInputs(root: string, entryPoint: string): Promise<Metafile['inputs'] | SourceProblem[]> {
  try {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [entryPoint],
      bundle: true,
      metafile: true,
      write: false,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'silent',
    });
    return metafile.inputs;
  } catch (error) {
    const { errors } = error as BuildFailure;
    if (!Array.isArray(errors)) throw error;
    return errors.map(toProblem);
  }
}

const toProblem = ({ text, location }: Message): SourceProblem => ({
  position: location ? `${location.file}:${location.line}:${location.column + 1}` : 'src',
  text,
  line: location?.lineText.trim() ?? '',
});

/** Modules that the SDK's bundler rejects in workflow code. */
const isForbidden = (module: string): boolean =>
  /^@temporalio\/(activity|client|worker|testing|core-bridge)\b/.test(module) ||
  (builtinModules.includes(module.replace(/^node:/, '')) && !/^(node:)?(assert|url|util)$/.test(module));

async function findForbiddenImports(root: string, inputs: Metafile['inputs']): Promise<SourceProblem[]> {
  const problems: SourceProblem[] = [];
  for (const [file, { imports }] of Object.entries(inputs)) {
    for (const { path: module } of imports.filter(({ external, path }) => external && isForbidden(path))) {
      const lines = (await readFile(join(root, file), 'utf8')).split('\n');
      const index = lines.findIndex((line) => line.includes(`'${module}'`));
      problems.push({
        position: `${file}:${index + 1}:1`,
        text: `workflow code cannot import ${module}, because it is not deterministic: use an activity`,
        line: lines[index]?.trim() ?? '',
      });
    }
  }
  return problems;
}

/** Formats a problem as three lines. */
export const formatProblem = (kind: string, { position, text, line }: SourceProblem): string =>
  `${kind}: ${position}\n  ${text}\n  > ${line}`;
