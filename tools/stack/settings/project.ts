import { fileURLToPath } from 'node:url';

/** The folder of package.json. */
export const projectRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** The environment that child processes inherit: PATH, HOME, proxies and whatever else this machine needs. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
