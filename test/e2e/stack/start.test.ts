import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startNpmStart } from '../../support/npm-start.js';
import { waitUntil } from '../../support/processes.js';
import { startSilentServer, type SilentServer } from '../../support/network/silent-server.js';

const DEADLINE_MS = 60_000;

let dataDir: string;
let silentServer: SilentServer;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'start-test-'));
  silentServer = await startSilentServer();
});
afterEach(async () => {
  await silentServer.close();
  await rm(dataDir, { recursive: true });
});

/** Runs `npm start` in the data folder of the test. */
const start = (env: Record<string, string>) => startNpmStart({ DATA_DIR: dataDir, ...env });

describe('npm start', { timeout: 3 * DEADLINE_MS }, () => {
  test('reports all invalid variables of the stack, the worker and the API before it starts a database', async () => {
    const port = String(silentServer.port);
    const { process, lines } = await start({
      WORKER_HEALTH_PORT: port,
      METRICS_PORT: port,
      BATCH_MAX_CONCURRENT_CHUNKS: '50',
      CODEC_ORIGINS: 'everywhere',
      DATABASE_URL: 'postgres://shop:sesame@127.0.0.1:1/shop',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      MAX_EVENT_LOOP_DELAY_MS: 'short',
    });
    expect(await process.exited).toEqual({ code: 1, signal: null });

    const problems = lines.filter((line) => line.includes('(example: '));
    expect(problems.map((line) => line.replace(/ \(example: .*/, '')).sort()).toEqual([
      'BATCH_MAX_CONCURRENT_CHUNKS: must be at most DATABASE_POOL_SIZE (10), got "50"',
      expect.stringContaining('CODEC_ORIGINS: must be a comma-separated list of origins'),
      'DATABASE_URL: PostgreSQL on 127.0.0.1:1 cannot be reached: connection refused',
      'MAX_EVENT_LOOP_DELAY_MS: must be an integer from 1 to 60000, got "short"',
      expect.stringContaining(`METRICS_PORT: must differ from WORKER_HEALTH_PORT; both are ${port}`),
      expect.stringContaining(`METRICS_PORT: port ${port} on 127.0.0.1 is in use`),
      'TEMPORAL_ADDRESS: Temporal on 127.0.0.1:1 cannot be reached: connection refused',
      expect.stringContaining(`WORKER_HEALTH_PORT: port ${port} on 127.0.0.1 is in use`),
    ]);
    expect(lines.join('\n')).not.toMatch(/sesame|\n\s+at |\[2\/6\]/);
    expect(await readdir(dataDir)).toEqual([]);
  });

  test('reports its own invalid variables together with the invalid variables of the application', async () => {
    const { process, lines } = await start({
      PORT: 'abc',
      PAYMENTS_URL: 'https://payments.example.com',
      WORKER_TUNER: 'clever',
      DATABASE_URL: 'mysql://shop:sesame@127.0.0.1/shop',
    });
    expect(await process.exited).toEqual({ code: 1, signal: null });

    expect(lines.filter(Boolean).map((line) => line.replace(/ \(example: .*/, ''))).toEqual([
      'PORT: must be an integer from 1 to 65535, got "abc"',
      'DATABASE_URL: must be a PostgreSQL connection URL',
      'CARRIER_URL: must be set when PAYMENTS_URL is set',
      'WORKER_TUNER: must be fixed or resource-based, got "clever"',
    ]);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'stops on %s while it waits for a server that does not respond',
    async (signal) => {
      const { process, lines } = await start({ DATABASE_URL: `postgres://shop:sesame@${silentServer.address}/shop` });
      await waitUntil(() => silentServer.acceptedCount() > 0 || undefined, {
        description: 'a connection',
        timeoutMs: DEADLINE_MS,
      });

      process.kill(signal);

      const overdue = setTimeout(() => process.kill('SIGKILL'), DEADLINE_MS);
      expect(await process.exited.finally(() => clearTimeout(overdue))).toEqual({ code: 0, signal: null });
      expect(lines.join('\n')).toContain('Stopping …');
      expect(lines.join('\n')).not.toMatch(/sesame|\[2\/6\]/);
    },
  );
});
