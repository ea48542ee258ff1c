import { type ManagedProcess, startProcess, typescriptCommand, unsetShellVariables } from '../processes.js';
import { approvalEnvironment } from './test-activities.js';
import { CURSOR_SECRET } from '../api/api.js';
import { CARRIER_WEBHOOK_SECRET } from '../fakes/running-fakes.js';

export const ENTRY_POINTS = { worker: 'src/worker.ts', api: 'src/api/server.ts', setup: 'src/setup.ts' } as const;
export type EntryPoint = keyof typeof ENTRY_POINTS;

/** An address on which no server listens. */
const UNREACHABLE_ADDRESS = '127.0.0.1:1';

/** Starts an entry point with a valid environment. Its servers are unreachable, unless `env` sets other addresses. */
export async function startEntryPoint(
  entry: EntryPoint,
  env: Record<string, string | undefined>,
): Promise<{ process: ManagedProcess; lines: string[] }> {
  const lines: string[] = [];
  const process = await startProcess({
    name: entry,
    ...typescriptCommand(ENTRY_POINTS[entry]),
    env: {
      ...unsetShellVariables,
      HOST: '127.0.0.1',
      PORT: undefined,
      HEALTH_PORT: undefined,
      API_KEYS: undefined,
      JWT_ISSUER: undefined,
      DATABASE_URL: `postgres://shop:sesame@${UNREACHABLE_ADDRESS}/shop`,
      TEMPORAL_ADDRESS: UNREACHABLE_ADDRESS,
      DATABASE_POOL_SIZE: undefined,
      BATCH_MAX_CONCURRENT_CHUNKS: undefined,
      LOG_LEVEL: 'info',
      PAYMENTS_URL: `http://${UNREACHABLE_ADDRESS}`,
      CARRIER_URL: `http://${UNREACHABLE_ADDRESS}`,
      WORKFLOW_BUNDLE: undefined,
      CARRIER_WEBHOOK_SECRET,
      APPROVAL_WEBHOOK_SECRET: CARRIER_WEBHOOK_SECRET,
      CURSOR_SECRET,
      ...approvalEnvironment({ smtpUrl: `smtp://${UNREACHABLE_ADDRESS}` }),
      ...env,
    },
    onLine: (line) => lines.push(line),
  });
  return { process, lines };
}
