import { fileURLToPath } from 'node:url';

/** The folder that contains package.json. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Returns the environment that child processes inherit, for example PATH, HOME and the proxy settings. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
