import { resolve } from 'node:path';
import { inheritedEnvironment } from '../stack/settings/project.js';

/** The command line is invalid; the caller then prints the usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Resolves a path against the folder in which the user ran `npm run <script>`: npm runs scripts in the folder of
 * package.json.
 */
export function resolveUserPath(path: string, script: string): string {
  const { npm_lifecycle_event: running, INIT_CWD: folder } = inheritedEnvironment();
  return running === script && folder ? resolve(folder, path) : path;
}
