import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../../tools/processes/ports.js';
import type { ManagedProcess } from '../../tools/processes/processes.js';
import { waitUntil } from '../../tools/processes/wait.js';
import { createDatabase } from '../support/database.js';
import { describeOnDevServer, startDevServer } from '../support/dev-server.js';
import { startEntry } from '../support/entry.js';
import { openLine, type Line } from '../support/line.js';
import { startSilentServer } from '../support/silent-server.js';

const START_DEADLINE_MS = 60_000;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A database behind a connection that the test can cut. */
async function databaseOnLine(): Promise<{ databaseUrl: string; line: Line }> {
  const database = await createDatabase();
  ends.push(() => database.drop());
  const url = new URL(database.appUrl);
  const line = await openLine(url.host);
  ends.push(() => line.close());
  url.host = line.address;
  return { databaseUrl: url.href, line };
}

const isReady = (url: string) => async () => ((await fetch(url)).ok ? true : undefined);

/** @returns the exit of the process and the elapsed milliseconds. */
async function ended(process: ManagedProcess, deadlineMs: number) {
  const since = Date.now();
  const overdue = setTimeout(() => process.kill('SIGKILL'), deadlineMs);
  const exit = await process.exited.finally(() => clearTimeout(overdue));
  return { ...exit, afterMs: Date.now() - since };
}

describe('a start that hangs', { timeout: 2 * START_DEADLINE_MS }, () => {
  test.each([
    ['worker', 'SIGINT', 130],
    ['worker', 'SIGTERM', 143],
    ['api', 'SIGINT', 130],
    ['setup', 'SIGTERM', 143],
  ] as const)('ends the %s with %s', async (entry, signal, code) => {
    const silent = await startSilentServer();
    ends.push(() => silent.close());
    const { process, lines } = await startEntry(entry, {
      DATABASE_URL: `postgres://shop:sesame@${silent.address}/shop`,
      TEMPORAL_ADDRESS: silent.address,
      PORT: String(await freePort()),
    });
    await waitUntil(() => silent.accepted() > 0 || undefined, { what: 'a connection', deadlineMs: START_DEADLINE_MS });

    process.kill(signal);

    // Without the signal, the process would exit with code 1 or start.
    expect(await ended(process, 10_000), lines.join('\n')).toMatchObject({ code, signal: null });
  });
});

describe('an API on a database that stopped responding', { timeout: 3 * START_DEADLINE_MS }, () => {
  async function startStuck() {
    const { databaseUrl, line } = await databaseOnLine();
    const port = await freePort();
    const { process, lines } = await startEntry('api', { DATABASE_URL: databaseUrl, PORT: String(port) });
    ends.push(() => process.stop(0));
    await waitUntil(isReady(`http://127.0.0.1:${port}/v1/products`), {
      what: 'the API',
      deadlineMs: START_DEADLINE_MS,
    });
    line.cut();
    process.kill('SIGTERM');
    await waitUntil(() => lines.some((text) => text.includes('"msg":"closing"')) || undefined, {
      what: 'the end being asked for',
      deadlineMs: START_DEADLINE_MS,
    });
    return { process, lines };
  }

  test('exits within its stop timeout', async () => {
    const { process, lines } = await startStuck();
    expect(await ended(process, 40_000)).toMatchObject({ code: 1, signal: null });
    expect(lines.at(-1)).toBe('did not stop within 20 s after SIGTERM');
  });

  test('exits at once on a second signal', async () => {
    const { process, lines } = await startStuck();
    const again = setInterval(() => process.kill('SIGINT'), 200);
    const { afterMs, ...exit } = await ended(process, 40_000).finally(() => clearInterval(again));
    expect(exit).toEqual({ code: 1, signal: null });
    expect(lines.at(-1)).toBe('stopped at once by another SIGINT');
    expect(afterMs).toBeLessThan(15_000);
  });
});

describeOnDevServer('a worker on a database that stopped responding', () => {
  test('exits within its grace period plus a few seconds', { timeout: 4 * START_DEADLINE_MS }, async () => {
    const server = await startDevServer();
    ends.push(() => server.close());
    const { databaseUrl, line } = await databaseOnLine();
    const port = await freePort();
    const { process, lines } = await startEntry('worker', {
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: server.address,
      HEALTH_PORT: String(port),
      WORKER_QUEUES: 'payments',
      SHUTDOWN_GRACE_SECONDS: '1',
    });
    ends.push(() => process.stop(0));
    await waitUntil(isReady(`http://127.0.0.1:${port}/readyz`), { what: 'the worker', deadlineMs: START_DEADLINE_MS });
    line.cut();

    process.kill('SIGINT');

    expect(await ended(process, 40_000)).toMatchObject({ code: 1, signal: null });
    expect(lines.at(-1)).toBe('did not stop within 10 s after SIGINT');
  });
});
