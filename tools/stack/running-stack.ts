import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { addressesFile } from './data-files.js';
import { inheritedEnvironment } from '../settings/environment.js';
import { loadSettings } from '../settings/settings.js';

const probeTimeoutMs = 5_000;
const stackFileSchema = z.object({
  apiUrl: z.string(),
  webUiUrl: z.string().optional(),
  temporalAddress: z.string().optional(),
  temporalNamespace: z.string(),
  mailboxUrl: z.string().optional(),
});

export type RunningStack = z.infer<typeof stackFileSchema>;

/**
 * Finds the running stack of `npm start`: at the address in `DATA_DIR/stack.json`, or else in the settings. With
 * `/readyz`, finds only a stack that accepts orders. With `/livez`, finds every stack that responds.
 */
export async function findRunningStack(probe: '/readyz' | '/livez' = '/readyz'): Promise<RunningStack | undefined> {
  const { dataDir, host, port } = loadSettings();
  const stack = await readFile(addressesFile(dataDir), 'utf8')
    .then((text) => stackFileSchema.parse(JSON.parse(text)))
    .catch(() => ({ apiUrl: `http://${host}:${port}`, temporalNamespace: 'default' }));
  const responds = await fetch(`${stack.apiUrl}${probe}`, { signal: AbortSignal.timeout(probeTimeoutMs) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return responds ? stack : undefined;
}

/** Returns the header that authenticates with the key in API_KEY, or no headers if API_KEY is not set. */
export function apiKeyHeaders(): Record<string, string> {
  const { API_KEY: key } = inheritedEnvironment();
  return key ? { 'x-api-key': key } : {};
}
