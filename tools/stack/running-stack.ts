import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
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
  const known = await readFile(join(dataDir, 'stack.json'), 'utf8')
    .then((text) => stackFileSchema.parse(JSON.parse(text)))
    .catch(() => ({ apiUrl: `http://${host}:${port}`, temporalNamespace: 'default' }));
  const answers = await fetch(`${known.apiUrl}${probe}`, { signal: AbortSignal.timeout(probeTimeoutMs) }).then(
    (answer) => answer.ok,
    () => false,
  );
  return answers ? known : undefined;
}
