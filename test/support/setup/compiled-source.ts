import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../processes.js';

/**
 * Compiles `src/` to JavaScript in the given folder, without type checks. A compiled process starts with half the CPU
 * time of a process with a TypeScript loader.
 */
export async function compileSource(folder: string): Promise<void> {
  const source = join(projectRoot, 'src');
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'));
  await Promise.all(
    files.map(async (file) => {
      const target = join(folder, 'src', file.replace(/\.ts$/, '.js'));
      const { outputText } = ts.transpileModule(await readFile(join(source, file), 'utf8'), {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, verbatimModuleSyntax: true },
      });
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, outputText);
    }),
  );
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'dir');
}
