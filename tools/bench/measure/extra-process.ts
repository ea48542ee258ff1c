import { freePort } from '../../processes/ports.js';
import { startProcess, typescriptCommand, type ManagedProcess } from '../../processes/processes.js';
import { developmentEnvironment } from '../../settings/development-environment.js';
import { developmentWebhookSecret } from '../../settings/variable-rules.js';
import { loadSettings, type Settings } from '../../settings/settings.js';
import type { Stack } from '../../stack/stack.js';
import { waitUntilReady } from '../../processes/readiness.js';

/** The interval must be short compared with the measured startups, which take only seconds. */
const POLL_INTERVAL_MS = 10;

/** An additional process of a running stack. The stack does not supervise it, so the caller must stop it. */
export interface ExtraProcess {
  process: ManagedProcess;
  url: string;
}

/** Starts an additional API process. Resolves when the API is ready. */
export async function startExtraApi(stack: Stack, more: Record<string, string> = {}): Promise<ExtraProcess> {
  return await startExtraProcess(stack, 'src/api/server.ts', 'PORT', more);
}

/** Starts an additional worker process. `url` is its health endpoint. Resolves when the worker polls. */
export async function startExtraWorker(stack: Stack, more: Record<string, string> = {}): Promise<ExtraProcess> {
  return await startExtraProcess(stack, 'src/worker.ts', 'HEALTH_PORT', more);
}

async function startExtraProcess(stack: Stack, file: string, portVariable: string, more: Record<string, string>) {
  const { temporalAddress, temporalNamespace, databaseUrl, paymentsUrl, carrierUrl, apiUrl } = stack.addresses;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const settings: Settings = { ...loadSettings(), applicationEnv: {} };
  const process = await startProcess({
    name: `another ${file}`,
    ...typescriptCommand(file),
    env: {
      HOST: '127.0.0.1',
      [portVariable]: String(port),
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'warn',
      TEMPORAL_ADDRESS: temporalAddress,
      TEMPORAL_NAMESPACE: temporalNamespace,
      PAYMENTS_URL: paymentsUrl,
      CARRIER_URL: carrierUrl,
      CARRIER_WEBHOOK_SECRET: developmentWebhookSecret,
      ...developmentEnvironment(settings, apiUrl),
      ...more,
    },
  });
  const isReady = async () => ((await fetch(`${url}/readyz`)).ok ? true : undefined);
  try {
    await waitUntilReady(process, isReady, {
      description: `readiness of ${file}`,
      timeoutMs: 60_000,
      intervalMs: POLL_INTERVAL_MS,
    });
  } catch (error) {
    await process.stop();
    throw error;
  }
  return { process, url };
}
