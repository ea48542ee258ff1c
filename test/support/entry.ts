import { startProcess, typescript, type ManagedProcess } from '../../tools/processes/processes.js';
import { nothingOfTheShell } from '../../tools/stack/settings.js';
import { approvalEnvironment } from './activities.js';
import { CURSOR_SECRET } from './api.js';
import { CARRIER_WEBHOOK_SECRET } from './outside-world.js';

export const ENTRIES = { worker: 'src/worker.ts', api: 'src/api/server.ts', setup: 'src/setup.ts' } as const;
export type Entry = keyof typeof ENTRIES;

/** No server listens there. */
const NOWHERE = '127.0.0.1:1';

/** Starts an entry point with a valid environment, but without the servers that the environment names. */
export async function startEntry(
  entry: Entry,
  env: Record<string, string | undefined>,
): Promise<{ process: ManagedProcess; lines: string[] }> {
  const lines: string[] = [];
  const process = await startProcess({
    name: entry,
    ...typescript(ENTRIES[entry]),
    env: {
      ...nothingOfTheShell,
      HOST: '127.0.0.1',
      PORT: undefined,
      HEALTH_PORT: undefined,
      API_KEYS: undefined,
      JWT_ISSUER: undefined,
      DATABASE_URL: `postgres://shop:sesame@${NOWHERE}/shop`,
      TEMPORAL_ADDRESS: NOWHERE,
      DATABASE_POOL_SIZE: undefined,
      BATCH_TASKS_AT_ONCE: undefined,
      LOG_LEVEL: 'info',
      PAYMENTS_URL: `http://${NOWHERE}`,
      CARRIER_URL: `http://${NOWHERE}`,
      WORKFLOW_BUNDLE: undefined,
      CARRIER_WEBHOOK_SECRET,
      APPROVAL_WEBHOOK_SECRET: CARRIER_WEBHOOK_SECRET,
      CURSOR_SECRET,
      ...approvalEnvironment({ smtpUrl: `smtp://${NOWHERE}` }),
      ...env,
    },
    onLine: (line) => lines.push(line),
  });
  return { process, lines };
}
