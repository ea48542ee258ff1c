import { ConfigError } from './config.js';

/** Ends the process with what went wrong at its start: a wrong configuration without a stack trace, the rest with it. */
export function exitOnStartFailure(error: unknown): never {
  process.stderr.write(`${error instanceof ConfigError ? error.message : (error as Error).stack}\n`);
  process.exit(1);
}
