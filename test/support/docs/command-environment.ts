import { temporalCliPath } from '../temporal/dev-server.js';

/** Returns the environment of a shell outside this test run. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  const ofTestRun = /^(VITEST.*|NODE_ENV|COMPILED_SOURCE)$/;
  const entries = Object.entries(process.env).filter(([name]) => !ofTestRun.test(name));
  return { ...Object.fromEntries(entries), TEMPORAL_CLI_PATH: temporalCliPath() };
}
