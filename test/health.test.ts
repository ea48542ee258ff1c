import { createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../tools/processes/ports.js';
import { serveHealth, type Checks } from '../src/observability/health.js';
import { createLogger } from '../src/observability/logger.js';
import { openStore } from '../src/store/index.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function serve(checks: Checks): Promise<string> {
  const { url, close } = await serveHealth(checks, {
    host: '127.0.0.1',
    port: 0,
    logger: createLogger('worker', 'silent'),
  });
  ends.push(close);
  return url;
}

/** A store whose database server is on the given port. */
function aStore(port: number) {
  const store = openStore({
    databaseUrl: `postgres://u:p@127.0.0.1:${port}/shop`,
    maxConnections: 1,
    onIdleError: () => undefined,
  });
  ends.push(() => store.close());
  return store;
}

const read = async (url: string) => {
  const answer = await fetch(url);
  return { status: answer.status, body: await answer.json() };
};

test('reports ready if every check is ok', async () => {
  const url = await serve({ temporal: () => 'ok', worker: async () => 'ok' });

  expect(await read(`${url}/readyz`)).toEqual({
    status: 200,
    body: { status: 'ready', checks: { temporal: 'ok', worker: 'ok' } },
  });
});

test('reports live but not ready, with the task queue, if a worker does not poll', async () => {
  const url = await serve({ temporal: () => 'ok', worker: () => 'does not poll orders' });

  expect(await read(`${url}/readyz`)).toEqual({
    status: 503,
    body: { status: 'not ready', checks: { temporal: 'ok', worker: 'does not poll orders' } },
  });
  expect(await read(`${url}/livez`)).toEqual({ status: 200, body: { status: 'ok' } });
});

test('responds in bounded time, without internal details, if the database rejects connections or hangs', async () => {
  const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  ends.push(() => silent.close());
  const stores = [aStore(await freePort()), aStore((silent.address() as AddressInfo).port)] as const;
  const url = await serve({
    refusing: () => stores[0].writability(),
    hanging: () => stores[1].writability(),
  });

  expect(await read(`${url}/readyz`)).toEqual({
    status: 503,
    body: {
      status: 'not ready',
      checks: { refusing: 'the database does not answer', hanging: expect.stringMatching(/does not answer$/) },
    },
  });
});
