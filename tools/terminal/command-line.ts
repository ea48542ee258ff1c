import { resolve } from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { inheritedEnvironment } from '../stack/settings/project.js';

/** The arguments are invalid; the caller then prints the usage. */
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

/** Names of errors whose message tells the user what to do. Any other error is a bug and needs its stack. */
const EXPECTED_ERRORS = ['Error', 'UsageError', 'SettingsError', 'ConfigError', 'ProgramNotFoundError'];

/** The text of an error for the user: its message, or its stack if it is a bug. */
export function formatError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return EXPECTED_ERRORS.includes(error.name) ? error.message : (error.stack ?? error.message);
}

/**
 * Resolves a path against the folder in which the user ran `npm run <script>`: npm runs scripts in the folder of
 * package.json.
 */
export function resolveUserPath(path: string, script: string): string {
  const { npm_lifecycle_event: running, INIT_CWD: folder } = inheritedEnvironment();
  return running === script && folder ? resolve(folder, path) : path;
}
