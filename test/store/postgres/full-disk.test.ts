import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { serveHealth } from '../../../src/observability/health-server.js';
import { createLogger } from '../../../src/observability/logger.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { createDatabase } from '../../support/database/database.js';
import { startStallableProxy } from '../../support/network/stallable-proxy.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';
import { describeOnSmallDisk, mountSmallDisk, type SmallDisk } from '../../support/database/small-disk.js';

const DEADLINE_MS = 20_000;

function openTestStore(databaseUrl: string): Store {
  return openStore({ databaseUrl, maxConnections: 2, onIdleError: () => undefined });
}

/** Starts the readiness endpoints of the API and of the worker, each with its own store. */
async function openProbes(databaseUrl: string) {
  const away = await createUnreachableBackends();
  const [ofApi, ofWorker] = [openTestStore(databaseUrl), openTestStore(databaseUrl)];
  const api: Api = await startApi({ client: away.client, store: ofApi });
  const health = await serveHealth(
    { store: () => ofWorker.checkWritable() },
    { host: '127.0.0.1', port: 0, logger: createLogger('worker', 'silent') },
  );
  const isReachable = async () => {
    const worker = await fetch(`${health.url}/readyz`);
    return {
      api: (await api.request<{ checks: { store: string } }>('GET', '/readyz')).body.checks.store,
      worker: ((await worker.json()) as { checks: { store: string } }).checks.store,
      workerStatus: worker.status,
    };
  };
  return {
    api,
    async say(store: string, workerStatus: number) {
      await waitUntil(
        async () => {
          const seen = await isReachable();
          if (seen.api === store && seen.worker === store && seen.workerStatus === workerStatus) return true;
          throw new Error(`got ${JSON.stringify(seen)}`);
        },
        { description: `API and worker reporting "${store}"`, timeoutMs: DEADLINE_MS },
      );
    },
    async close() {
      await health.close();
      await api.close();
      await Promise.all([ofApi.close(), ofWorker.close(), away.close()]);
    },
  };
}

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanups.splice(0).reverse()) await end();
});

describeOnSmallDisk('a database on a full disk', () => {
  let disk: SmallDisk;
  beforeAll(async () => {
    disk = await mountSmallDisk();
  });
  afterAll(() => disk.remove());

  test('a full database disk makes the API and the worker unready until there is free space again', async () => {
    const probes = await openProbes(disk.appUrl);
    cleanups.push(() => probes.close());
    await probes.say('ok', 200);

    await disk.fill();
    cleanups.push(() => disk.freeSpace());
    await probes.say('the disk of the database is full', 503);
    const readProducts = async () => {
      const { status, body } = await probes.api.request('GET', '/v1/products');
      if (status !== 200) throw new Error(`got ${status} ${JSON.stringify(body)}`);
      return true;
    };
    // A busy machine can overload the API for a moment.
    await waitUntil(readProducts, { description: 'a response to a read', timeoutMs: DEADLINE_MS });

    await disk.freeSpace();
    await probes.say('ok', 200);
  });
});

describe('a read-only database', () => {
  test('a read-only database makes the API and the worker unready, and a write returns 503', async () => {
    const database = await createDatabase();
    cleanups.push(() => database.drop());
    const name = new URL(database.url).pathname.slice(1);
    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query(`alter database ${name} set default_transaction_read_only = on`);
    await admin.end();

    const probes = await openProbes(database.appUrl);
    cleanups.push(() => probes.close());
    await probes.say('the database is read-only', 503);
    const { status, body } = await probes.api.request('POST', '/v1/batches?operation=restock', {
      text: `${JSON.stringify({ sku: 'MUG-BLUE', quantity: 1 })}\n`,
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect({ status, body }).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('the database cannot be written to') },
    });
  });
});

describe('the check for a writable database', () => {
  test('many concurrent checks for a writable database share one query', async () => {
    const database = await createDatabase();
    const store = openTestStore(database.appUrl);
    cleanups.push(
      () => database.drop(),
      () => store.close(),
    );
    const isReachable = await Promise.all(Array.from({ length: 50 }, () => store.checkWritable()));
    expect(new Set(isReachable)).toEqual(new Set(['ok']));

    const admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    cleanups.push(() => admin.end());
    const writesTempFiles = async () => {
      const { rows } = await admin.query<{ temp_files: string }>(
        `select temp_files from pg_stat_database where datname = current_database()`,
      );
      return rows[0]!.temp_files === '1' || undefined;
    };
    await waitUntil(writesTempFiles, { description: 'one temporary file being counted', timeoutMs: DEADLINE_MS });
  });

  test('the check for a writable database releases its connection soon when the database stops responding', async () => {
    const database = await createDatabase();
    const url = new URL(database.appUrl);
    const line = await startStallableProxy(url.host);
    url.host = line.address;
    const store = openTestStore(url.href);
    cleanups.push(
      () => database.drop(),
      () => line.close(),
      () => store.close(),
    );
    expect(await store.checkWritable()).toBe('ok');
    line.stall();
    await waitUntil(async () => ((await store.checkWritable()) === 'the database does not answer' ? true : undefined), {
      description: 'the check giving up',
      timeoutMs: DEADLINE_MS,
    });
    line.resume();
    await waitUntil(async () => ((await store.checkWritable()) === 'ok' ? true : undefined), {
      description: 'the check succeeding again',
      timeoutMs: DEADLINE_MS,
    });
  });
});
