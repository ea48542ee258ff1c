import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../processes.js';
import { environmentSchema } from '../../../tools/fakes/environment.js';
import { loadConfig, variableNames } from '../../../src/config/read.js';
import type { ProcessName } from '../../../src/config/variables/declaration.js';

/** The entry points that a deployment starts, with the role whose configuration each of them reads. */
const ROLE_BY_PROGRAM: Record<string, ProcessName | 'fakes'> = {
  'dist/worker.js': 'worker',
  'dist/api/server.js': 'api',
  'dist/setup.js': 'setup',
  'tools/stack/seed.js': 'setup',
  'tools/fakes/main.js': 'fakes',
};

/**
 * Returns the role that a command like `node dist/worker.js` starts. @throws when the checkout does not contain the
 * file.
 */
export function roleOfCommand(command: readonly string[]): ProcessName | 'fakes' {
  const [program, ...args] = command;
  const file = args.at(-1) ?? '';
  const source = file.replace(/^dist\//, 'src/').replace(/\.js$/, '.ts');
  if (program !== 'node' || !existsSync(join(projectRoot, source)))
    throw new Error(`${command.join(' ')}: must be node with an existing file`);
  const role = ROLE_BY_PROGRAM[file];
  if (!role) throw new Error(`${file} is not an entry point of a deployment`);
  return role;
}

/**
 * Returns the variable names that the role does not read. @throws when a variable is missing or invalid, with the error
 * that the program would print at startup.
 */
export function unknownVariables(role: ProcessName | 'fakes', env: Record<string, string>): string[] {
  const known =
    role === 'fakes'
      ? Object.keys(environmentSchema.parse(env) && environmentSchema.shape)
      : loadConfig(role, env) && variableNames(role);
  return Object.keys(env).filter((name) => !known.includes(name));
}
