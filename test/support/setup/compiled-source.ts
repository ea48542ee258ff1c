import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot, runCommand } from '../processes.js';

/**
 * Compiles `src/` to JavaScript in the given folder, without type checks. A compiled process starts with half the CPU
 * time of a process with a TypeScript loader.
 */
export async function compileSource(folder: string): Promise<void> {
  const options = ['--noCheck', '--sourceMap', 'false', '--outDir', join(folder, 'src')];
  await runCommand({
    name: 'tsc',
    command: process.execPath,
    args: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...options],
    timeoutMs: 2 * 60_000,
  });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'dir');
}
