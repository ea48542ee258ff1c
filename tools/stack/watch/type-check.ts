import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess } from '../../processes/processes.js';
import { projectRoot } from '../../settings/environment.js';
import type { Reporter } from '../../terminal/reporter.js';
import { formatProblem } from '../../source-build/import-graph.js';

const WATCH_OPTIONS = ['--watch', '--preserveWatchOutput', '--pretty', 'false'];

/** More errors than this usually have one cause. */
const MAX_PRINTED = 5;

/**
 * Starts the TypeScript compiler, which checks `src/` after each change, and prints type errors. A program with a
 * type error runs nevertheless.
 *
 * @returns a function that stops the compiler.
 */
export async function startTypeCheck(report: Reporter): Promise<() => Promise<unknown>> {
  let found: string[] = [];
  const compiler = await startProcess({
    name: 'tsc',
    command: process.execPath,
    args: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--noEmit', ...WATCH_OPTIONS],
    onLine: (line) => {
      if (/\bTS\d+: /.test(line)) found.push(line);
      else if (/Found \d+ errors?\. Watching/.test(line)) {
        const errors = found;
        found = [];
        void printErrors(errors, report);
      }
    },
  });
  return () => compiler.stop();
}

async function printErrors(errors: readonly string[], report: Reporter): Promise<void> {
  for (const error of errors.slice(0, MAX_PRINTED)) {
    const [, file = '', row = '1', column = '1', text = error] = /^(.+?)\((\d+),(\d+)\): error (.*)$/.exec(error) ?? [];
    const source = await readFile(join(projectRoot, file), 'utf8').catch(() => '');
    const line = source.split('\n')[Number(row) - 1]?.trim() ?? '';
    report.print(formatProblem('type error', { position: `${file}:${row}:${column}`, text, line }));
  }
  if (errors.length > MAX_PRINTED) report.print(`and ${errors.length - MAX_PRINTED} more type errors`);
}
