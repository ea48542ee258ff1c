import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { inheritedEnvironment } from './settings/project.js';
import { loadSettings } from './settings/settings.js';

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
 * Finds the running stack of `npm start`: by `DATA_DIR/stack.json`, else at the address of the settings. `/readyz`
 * finds only a stack that accepts orders, `/livez` any stack that responds.
 */
export async function findRunningStack(probe: '/readyz' | '/livez' = '/readyz'): Promise<RunningStack | undefined> {
  const { dataDir, host, port } = loadSettings();
  const stack = await readFile(join(dataDir, 'stack.json'), 'utf8')
    .then((text) => stackFileSchema.parse(JSON.parse(text)))
    .catch(() => ({ apiUrl: `http://${host}:${port}`, temporalNamespace: 'default' }));
  const responds = await fetch(`${stack.apiUrl}${probe}`, { signal: AbortSignal.timeout(probeTimeoutMs) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return responds ? stack : undefined;
}

/** The headers that authenticate with the API: the key in API_KEY, or none for an API without authentication. */
export function apiKeyHeaders(): Record<string, string> {
  const { API_KEY: key } = inheritedEnvironment();
  return key ? { 'x-api-key': key } : {};
}
