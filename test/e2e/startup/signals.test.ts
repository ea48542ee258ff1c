import { afterEach, describe, expect, test } from 'vitest';
import { freePort, type ManagedProcess, waitUntil } from '../../support/processes.js';
import { createDatabase } from '../../support/database/database.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { startEntryPoint } from '../../support/shop/entry-points.js';
import { startStallableProxy, type StallableProxy } from '../../support/network/stallable-proxy.js';
import { startSilentServer } from '../../support/network/silent-server.js';

const START_DEADLINE_MS = 60_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of cleanups.splice(0).reverse()) await end();
});

/** Creates a database behind a proxy. The test can stall the proxy. */
async function createProxiedDatabase(): Promise<{ databaseUrl: string; line: StallableProxy }> {
  const database = await createDatabase();
  cleanups.push(() => database.drop());
  const url = new URL(database.appUrl);
  const line = await startStallableProxy(url.host);
  cleanups.push(() => line.close());
  url.host = line.address;
  return { databaseUrl: url.href, line };
}

const isReady = (url: string) => async () => ((await fetch(url)).ok ? true : undefined);

/** Waits for the exit of the process. @returns the exit status and the elapsed milliseconds. */
async function waitForExit(process: ManagedProcess, deadlineMs: number) {
  const since = Date.now();
  const overdue = setTimeout(() => process.kill('SIGKILL'), deadlineMs);
  const exit = await process.exited.finally(() => clearTimeout(overdue));
  return { ...exit, afterMs: Date.now() - since };
}

describe('a process whose start hangs', { timeout: 2 * START_DEADLINE_MS }, () => {
  test.each([
    ['worker', 'SIGINT', 130],
    ['worker', 'SIGTERM', 143],
    ['api', 'SIGINT', 130],
    ['setup', 'SIGTERM', 143],
  ] as const)('the %s exits on %s', async (entry, signal, code) => {
    const silent = await startSilentServer();
    cleanups.push(() => silent.close());
    const { process, lines } = await startEntryPoint(entry, {
      DATABASE_URL: `postgres://shop:sesame@${silent.address}/shop`,
      TEMPORAL_ADDRESS: silent.address,
      PORT: String(await freePort()),
    });
    await waitUntil(() => silent.acceptedCount() > 0 || undefined, {
      description: 'a connection',
      timeoutMs: START_DEADLINE_MS,
    });

    process.kill(signal);

    // Without the signal, the process would start or would exit with code 1.
    expect(await waitForExit(process, 10_000), lines.join('\n')).toMatchObject({ code, signal: null });
  });
});

describe('an API whose database does not respond any more', { timeout: 3 * START_DEADLINE_MS }, () => {
  async function startStuck() {
    const { databaseUrl, line } = await createProxiedDatabase();
    const port = await freePort();
    const { process, lines } = await startEntryPoint('api', { DATABASE_URL: databaseUrl, PORT: String(port) });
    cleanups.push(() => process.stop(0));
    await waitUntil(isReady(`http://127.0.0.1:${port}/v1/products`), {
      description: 'the API',
      timeoutMs: START_DEADLINE_MS,
    });
    line.stall();
    process.kill('SIGTERM');
    await waitUntil(() => lines.some((text) => text.includes('"msg":"closing"')) || undefined, {
      description: 'the start of the shutdown',
      timeoutMs: START_DEADLINE_MS,
    });
    return { process, lines };
  }

  test('the API exits when its stop timeout has passed while the database does not respond', async () => {
    const { process, lines } = await startStuck();
    expect(await waitForExit(process, 40_000)).toMatchObject({ code: 1, signal: null });
    expect(lines.at(-1)).toBe('did not stop within 20 s after SIGTERM');
  });

  test('the API exits immediately on a second signal', async () => {
    const { process, lines } = await startStuck();
    const again = setInterval(() => process.kill('SIGINT'), 200);
    const { afterMs, ...exit } = await waitForExit(process, 40_000).finally(() => clearInterval(again));
    expect(exit).toEqual({ code: 1, signal: null });
    expect(lines.at(-1)).toBe('stopped immediately by another SIGINT');
    expect(afterMs).toBeLessThan(15_000);
  });
});

describeOnDevServer('a worker whose database does not respond any more', () => {
  test(
    'the worker exits a few seconds after its grace period while the database does not respond',
    { timeout: 4 * START_DEADLINE_MS },
    async () => {
      const server = await startDevServer();
      cleanups.push(() => server.close());
      const { databaseUrl, line } = await createProxiedDatabase();
      const port = await freePort();
      const { process, lines } = await startEntryPoint('worker', {
        DATABASE_URL: databaseUrl,
        TEMPORAL_ADDRESS: server.address,
        HEALTH_PORT: String(port),
        WORKER_TASK_QUEUES: 'payments',
        SHUTDOWN_GRACE_SECONDS: '1',
      });
      cleanups.push(() => process.stop(0));
      await waitUntil(isReady(`http://127.0.0.1:${port}/readyz`), {
        description: 'the worker',
        timeoutMs: START_DEADLINE_MS,
      });
      line.stall();

      process.kill('SIGINT');

      expect(await waitForExit(process, 40_000)).toMatchObject({ code: 1, signal: null });
      expect(lines.at(-1)).toBe('did not stop within 10 s after SIGINT');
    },
  );
});
