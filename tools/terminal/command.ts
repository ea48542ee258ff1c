import { inheritedEnvironment } from '../settings/environment.js';
import { UsageError } from './command-line.js';
import { createReporter } from './reporter.js';

/** The environment and the output of a command that tests can run without a process. */
export interface CommandContext {
  env: NodeJS.ProcessEnv;
  print: (text: string) => void;
  printError: (text: string) => void;
}

/** Returns the context of a command that runs as this process. */
export function createProcessContext(): CommandContext {
  const { print } = createReporter();
  return { env: inheritedEnvironment(), print, printError: (text) => console.error(text) };
}

/** Prints why a command failed, with all causes, and its usage after invalid options. */
export function printFailure(error: unknown, usage: string, printError: CommandContext['printError']): void {
  for (let reason: unknown = error; reason instanceof Error; reason = reason.cause) printError(reason.message);
  if (error instanceof UsageError) printError(`\n${usage}`);
}
