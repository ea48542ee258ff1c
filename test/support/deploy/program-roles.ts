import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../processes.js';
import { environmentSchema } from '../../../tools/fakes/environment.js';
import { loadConfig, variableNames } from '../../../src/config/read.js';
import type { ProcessName } from '../../../src/config/variables/declaration.js';

/** The files that a deployment starts, and the role whose configuration they read. */
const ROLE_BY_PROGRAM: Record<string, ProcessName | 'fakes'> = {
  'dist/worker.js': 'worker',
  'dist/api/server.js': 'api',
  'dist/setup.js': 'setup',
  'tools/stack/seed.ts': 'setup',
  'tools/fakes/main.ts': 'fakes',
};

/** The role that a command like `node dist/worker.js` starts. @throws when the checkout has no such file. */
export function roleOfCommand(command: readonly string[]): ProcessName | 'fakes' {
  const [program, ...args] = command;
  const file = args.at(-1) ?? '';
  const source = file.replace(/^dist\/(.*)\.js$/, 'src/$1.ts');
  if (program !== 'node' || !existsSync(join(projectRoot, source)))
    throw new Error(`${command.join(' ')}: there is no such file`);
  const role = ROLE_BY_PROGRAM[file];
  if (!role) throw new Error(`${file} is not meant to be started in a deployment`);
  return role;
}

/**
 * The names in an environment that the role does not read. @throws what is missing or invalid, as the program's start
 * would.
 */
export function unknownVariables(role: ProcessName | 'fakes', env: Record<string, string>): string[] {
  const known =
    role === 'fakes'
      ? Object.keys(environmentSchema.parse(env) && environmentSchema.shape)
      : loadConfig(role, env) && variableNames(role);
  return Object.keys(env).filter((name) => !known.includes(name));
}
