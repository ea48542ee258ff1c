import { join } from 'node:path';
import { inject } from 'vitest';

/** The command that runs a file of `src/` as a process, from the compiled sources of this test run. */
export function sourceCommand(file: `src/${string}.ts`): { command: string; args: string[] } {
  return { command: process.execPath, args: [join(inject('compiledSource'), file.replace(/\.ts$/, '.js'))] };
}
