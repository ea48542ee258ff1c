import { execPath } from 'node:process';
import {
  freePort,
  type ManagedProcess,
  projectRoot,
  startProcess,
  typescriptCommand,
  unsetShellVariables,
} from './processes.js';

/** The ports of `npm start` by the variable that changes the port. */
export const DEFAULT_PORTS = {
  PORT: 3000,
  FAKES_PORT: 3001,
  WORKER_HEALTH_PORT: 3002,
  METRICS_PORT: 3003,
  WORKER_METRICS_PORT: 3004,
  FAKES_SMTP_PORT: 3025,
  TEMPORAL_PORT: 7233,
  TEMPORAL_UI_PORT: 8233,
};

interface NpmStart {
  process: ManagedProcess;
  /** The output so far. */
  lines: string[];
  /** The free port of each variable. `env` may have replaced it. */
  ports: Record<keyof typeof DEFAULT_PORTS, number>;
}

/**
 * Runs `npm start` on free ports with its own servers and the given variables, in this project or in the folder of a
 * copy of this project. `--watch` makes it `npm run dev`.
 */
export async function startNpmStart(
  env: Record<string, string>,
  folder = projectRoot,
  ...options: string[]
): Promise<NpmStart> {
  const lines: string[] = [];
  const ports = Object.fromEntries(
    await Promise.all(Object.keys(DEFAULT_PORTS).map(async (variable) => [variable, await freePort()] as const)),
  ) as NpmStart['ports'];
  const process = await startProcess({
    name: 'npm start',
    ...(folder === projectRoot
      ? typescriptCommand('tools/stack/main.ts', ...options)
      : { command: execPath, args: ['tools/run.mjs', 'tools/stack/main.ts', ...options], cwd: folder }),
    env: {
      ...unsetShellVariables,
      // A copy must not run the compiled sources of this project.
      ...(folder !== projectRoot && { COMPILED_SOURCE: undefined }),
      DATABASE_URL: undefined,
      TEMPORAL_ADDRESS: undefined,
      HOST: undefined,
      npm_lifecycle_event: undefined,
      ...Object.fromEntries(Object.entries(ports).map(([variable, port]) => [variable, String(port)])),
      ...env,
    },
    onLine: (line) => lines.push(line),
  });
  return { process, lines, ports };
}
