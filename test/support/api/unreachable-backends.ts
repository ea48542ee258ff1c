import { freePort } from '../processes.js';
import { openStore } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { startApi, type Api } from './api.js';

const CONNECT_TIMEOUT_MS = 50;

/** Creates a Temporal client and a store. No server listens on their addresses. */
export async function createUnreachableBackends() {
  const address = `127.0.0.1:${await freePort()}`;
  const client = createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' });
  // Replaces the deadline of each call with a short deadline, because these tests do not check deadlines.
  client.withDeadline = (_deadline, run) => client.connection.withDeadline(Date.now() + CONNECT_TIMEOUT_MS, run);
  const store = openStore({
    databaseUrl: `postgres://${address}/shop`,
    maxConnections: 1,
    onIdleError: () => undefined,
  });
  return {
    client,
    store,
    async close() {
      await client.connection.close();
      await store.close();
    },
  };
}

/**
 * Starts an API whose Temporal server and database are unreachable, so that every response comes from the HTTP layer.
 */
export async function startApiWithoutBackends(
  options: Omit<Parameters<typeof startApi>[0], 'client' | 'store'> = {},
): Promise<Api> {
  const { client, store, close } = await createUnreachableBackends();
  const api = await startApi({ client, store, ...options });
  return {
    ...api,
    async close() {
      await api.close();
      await close();
    },
  };
}
