import { createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { serveHealth, type HealthChecks } from '../../src/observability/health-server.js';
import { createLogger } from '../../src/observability/logger.js';
import { openStore } from '../../src/store/index.js';
import { freePort } from '../support/processes.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of cleanups.splice(0)) await end();
});

async function startHealthServer(checks: HealthChecks): Promise<string> {
  const { url, close } = await serveHealth(checks, {
    host: '127.0.0.1',
    port: 0,
    logger: createLogger('worker', 'silent'),
  });
  cleanups.push(close);
  return url;
}

/** Opens a store whose database server is on the given port. */
function openStoreOn(port: number) {
  const store = openStore({
    databaseUrl: `postgres://u:p@127.0.0.1:${port}/shop`,
    maxConnections: 1,
    onIdleError: () => undefined,
  });
  cleanups.push(() => store.close());
  return store;
}

const fetchJson = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
};

test('the health server reports ready when every check is ok', async () => {
  const url = await startHealthServer({ temporal: () => 'ok', worker: async () => 'ok' });

  expect(await fetchJson(`${url}/readyz`)).toEqual({
    status: 200,
    body: { status: 'ready', checks: { temporal: 'ok', worker: 'ok' } },
  });
});

test('the health server reports live but not ready when a worker does not poll, and names the task queue', async () => {
  const url = await startHealthServer({ temporal: () => 'ok', worker: () => 'does not poll orders' });

  expect(await fetchJson(`${url}/readyz`)).toEqual({
    status: 503,
    body: { status: 'not ready', checks: { temporal: 'ok', worker: 'does not poll orders' } },
  });
  expect(await fetchJson(`${url}/livez`)).toEqual({ status: 200, body: { status: 'ok' } });
});

test('the readiness check responds without internal details when the database rejects connections or hangs', async () => {
  const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  cleanups.push(() => silent.close());
  const stores = [openStoreOn(await freePort()), openStoreOn((silent.address() as AddressInfo).port)] as const;
  const url = await startHealthServer({
    refusing: () => stores[0].checkWritable(),
    hanging: () => stores[1].checkWritable(),
  });

  expect(await fetchJson(`${url}/readyz`)).toEqual({
    status: 503,
    body: {
      status: 'not ready',
      checks: { refusing: 'the database does not answer', hanging: expect.stringMatching(/does not answer$/) },
    },
  });
});
