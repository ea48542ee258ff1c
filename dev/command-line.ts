import { resolve } from 'node:path';
import { inheritedEnvironment } from './settings.js';

/** The command line cannot be understood: the usage helps. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A path as whoever called `npm run <script>` meant it: npm runs scripts in the folder of package.json. */
export function asTyped(path: string, script: string): string {
  const { npm_lifecycle_event: running, INIT_CWD: folder } = inheritedEnvironment();
  return running === script && folder ? resolve(folder, path) : path;
}
