import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../../tools/servers/postgres/postgres.js';
import { silentReporter as report } from '../../../tools/terminal/reporter.js';
import { isAlive, waitForExit } from '../fixtures/is-alive.js';
import { freePort } from '../../support/processes.js';

let folder: string;
let server: PostgresServer | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postgres-')); // mode 0700
});
afterEach(async () => {
  await server?.destroy();
  server = undefined;
  await rm(folder, { recursive: true });
});

async function start(dataDir = join(folder, 'postgres')): Promise<PostgresServer> {
  server = await startPostgres({ dataDir, port: await freePort(), report, durable: false });
  return server;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('the embedded PostgreSQL', { timeout: 60_000 }, () => {
  test('starts below a folder with mode 0700, and listens only on loopback', async () => {
    const { url } = await start();
    expect(new URL(url).hostname).toBe('127.0.0.1');
    expect(await query(url, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    expect(await query(url, 'select current_database() as name')).toEqual([{ name: 'shop' }]);
  });

  test('keeps its data and its password after a restart', async () => {
    const first = await start();
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await start();
    expect(new URL(second.url).password).toBe(new URL(first.url).password);
    expect(await query(second.url, 'select * from kept')).toEqual([{ answer: 42 }]);
  });

  test('recovers committed data after SIGKILL', async () => {
    const first = await start();
    await query(first.url, 'create table kept as select 42 as answer');
    first.process.kill('SIGKILL');
    await waitForExit(first.pid);
    const { url } = await start();
    expect(await query(url, 'select * from kept')).toEqual([{ answer: 42 }]);
  });

  test('starts with an empty database after its folder was deleted', async () => {
    const first = await start();
    await query(first.url, 'create table gone as select 42 as answer');
    await first.stop();
    await rm(join(folder, 'postgres'), { recursive: true });
    const { url } = await start();
    await expect(query(url, 'select * from gone')).rejects.toThrow(/does not exist/);
  });

  test('rejects a wrong password', async () => {
    const { url } = await start();
    const wrong = new URL(url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  test('keeps its data private even if the parent folder is readable for all users', async () => {
    const { chmod } = await import('node:fs/promises');
    await chmod(folder, 0o755);
    const { dataDir } = await start();
    expect(dataDir).toBe(join(folder, 'postgres'));
    expect((await stat(join(dataDir, 'data'))).mode & 0o077).toBe(0);
    expect((await stat(join(dataDir, 'password'))).mode & 0o077).toBe(0);
  });

  test('deletes its data when it is destroyed', async () => {
    await mkdir(join(folder, 'deep', 'er'), { recursive: true });
    const started = await start(join(folder, 'deep', 'er', 'postgres'));
    await started.destroy();
    await expect(stat(started.dataDir)).rejects.toThrow(/ENOENT/);
  });
});
