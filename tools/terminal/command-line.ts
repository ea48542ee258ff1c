import { resolve } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { inheritedEnvironment } from '../settings/environment.js';

/** Thrown for invalid arguments. The caller catches this error and prints the usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Parses the arguments of a command. @throws UsageError for an unknown option or a missing value. */
export function parseArguments<const Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Names of errors whose message tells the user what to do. Any other error is a bug, so its stack is printed. */
const EXPECTED_ERRORS = ['Error', 'UsageError', 'SettingsError', 'ConfigError', 'ProgramNotFoundError'];

/** Returns the text that the user sees for an error: the message, or the stack if the error is a bug. */
export function formatError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return EXPECTED_ERRORS.includes(error.name) ? error.message : (error.stack ?? error.message);
}

/**
 * Resolves a path against the folder in which the user ran `npm run <script>`, because npm runs scripts in the folder
 * of package.json.
 */
export function resolveUserPath(path: string, script: string): string {
  const { npm_lifecycle_event: running, INIT_CWD: folder } = inheritedEnvironment();
  return running === script && folder ? resolve(folder, path) : path;
}
