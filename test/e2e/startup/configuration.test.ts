import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, waitUntil } from '../../support/processes.js';
import {
  createDatabase,
  createTemporaryDatabase as createEmptyDatabase,
  type TemporaryDatabase,
} from '../../support/database/database.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startEntryPoint, type EntryPoint } from '../../support/shop/entry-points.js';
import { startSilentServer, type SilentServer } from '../../support/network/silent-server.js';

const ERROR_TITLES = { worker: 'The worker', api: 'The API', setup: 'The setup' };
const UNREACHABLE = {
  DATABASE_URL: 'PostgreSQL on 127.0.0.1:1 cannot be reached: connection refused',
  TEMPORAL_ADDRESS: 'Temporal on 127.0.0.1:1 cannot be reached: connection refused',
};

/** Longer than two starts take on a busy machine. The slowest measured start with a wrong password took 18 s. */
const START_TIMEOUT_MS = 60_000;

/**
 * Runs an entry point that cannot start. Checks that the process exits with code 1, and prints one line with an example
 * for each problem. The output must not contain a stack trace or a password.
 *
 * @returns the problems by variable.
 */
async function startupErrorsOf(
  entry: EntryPoint,
  env: Record<string, string | undefined>,
): Promise<Record<string, string>> {
  const { process, lines } = await startEntryPoint(entry, { LOG_LEVEL: 'silent', ...env });
  const overdue = setTimeout(() => process.kill('SIGKILL'), START_TIMEOUT_MS);
  const exit = await process.exited.finally(() => clearTimeout(overdue));
  expect(exit, lines.join('\n')).toEqual({ code: 1, signal: null });
  expect(lines.join('\n')).not.toMatch(/sesame|\n\s+at /);
  const [title, ...problems] = lines;
  expect(title).toBe(`${ERROR_TITLES[entry]} cannot start:`);
  const pattern = /^ {2}([A-Z_]+): (.*) \(example: [A-Z_]+=.+\)$/;
  for (const line of problems) expect(line).toMatch(pattern);
  return Object.fromEntries(problems.map((line) => pattern.exec(line)!.slice(1) as [name: string, problem: string]));
}

let folder: string;
let silentServer: SilentServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'configuration-'));
  silentServer = await startSilentServer();
});
afterAll(async () => {
  await silentServer.close();
  await rm(folder, { recursive: true });
});

async function writeTestFile(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe('starting with an invalid configuration', { timeout: 2 * START_TIMEOUT_MS }, () => {
  test('reports all invalid variables of the worker in one run', async () => {
    const bundle = await writeTestFile('empty.js', '');
    const problems = await startupErrorsOf('worker', {
      SHUTDOWN_GRACE_SECONDS: 'long',
      WORKER_MAX_CACHED_WORKFLOWS: '1e3',
      BATCH_MAX_CONCURRENT_CHUNKS: '11',
      HEALTH_PORT: String(silentServer.port),
      METRICS_PORT: '65536',
      WORKFLOW_BUNDLE: bundle,
      PAYMENTS_URL: undefined,
    });

    expect(problems).toEqual({
      SHUTDOWN_GRACE_SECONDS: 'must be a number from 0 to 3600, got "long"',
      WORKER_MAX_CACHED_WORKFLOWS: 'must be an integer from 2 to 1000000, got "1e3"',
      BATCH_MAX_CONCURRENT_CHUNKS: 'must be at most DATABASE_POOL_SIZE (10), got "11"',
      HEALTH_PORT: `port ${silentServer.port} on 127.0.0.1 is in use`,
      METRICS_PORT: 'must be an integer from 1 to 65535, got "65536"',
      WORKFLOW_BUNDLE: `${bundle} is empty`,
      PAYMENTS_URL: 'is not set',
      ...UNREACHABLE,
    });
  });

  test('reports the invalid variables of the API and the unreachable servers', async () => {
    const port = String(await freePort());
    const problems = await startupErrorsOf('api', { PORT: port, METRICS_PORT: port, RATE_LIMIT_PER_MINUTE: '0' });

    expect(problems).toEqual({
      RATE_LIMIT_PER_MINUTE: 'must be an integer from 1 to 10000000, got "0"',
      METRICS_PORT: `must differ from PORT; both are ${port}`,
      ...UNREACHABLE,
    });
  });

  test('the API reports PORT when the port is in use, and HOST when the address belongs to another machine', async () => {
    const port = String(silentServer.port);
    const apiKey = JSON.stringify([{ id: 'ada', roles: ['shopper'], hashes: ['a'.repeat(64)] }]);
    const [ofPorts, ofHost] = await Promise.all([
      startupErrorsOf('api', { PORT: port, METRICS_PORT: undefined }),
      startupErrorsOf('api', { PORT: String(await freePort()), HOST: '192.0.2.1', API_KEYS: apiKey }),
    ]);

    expect(ofPorts).toEqual({ PORT: `port ${port} on 127.0.0.1 is in use`, ...UNREACHABLE });
    expect(ofHost).toEqual({ HOST: 'must be an address of this machine, got "192.0.2.1"', ...UNREACHABLE });
  });

  test('reports two variables of the worker that have the same port', async () => {
    const port = String(await freePort());
    expect(await startupErrorsOf('worker', { HEALTH_PORT: port, METRICS_PORT: port })).toEqual({
      METRICS_PORT: `must differ from HEALTH_PORT; both are ${port}`,
      ...UNREACHABLE,
    });
  });

  test('reports both servers when the setup can reach neither PostgreSQL nor Temporal', async () => {
    expect(await startupErrorsOf('setup', {})).toEqual(UNREACHABLE);
  });

  test('reports servers that accept a connection of the worker or the setup but do not respond', async () => {
    const { address } = silentServer;
    const env = { DATABASE_URL: `postgres://shop:sesame@${address}/shop`, TEMPORAL_ADDRESS: address };
    for (const problems of await Promise.all([startupErrorsOf('worker', env), startupErrorsOf('setup', env)]))
      expect(problems).toEqual({
        DATABASE_URL: `PostgreSQL on ${address} cannot be reached: no response within 5 s`,
        TEMPORAL_ADDRESS: expect.stringContaining(`Temporal on ${address} cannot be reached: no response within 5 s`),
      });
  });
});

describe('starting with an invalid DATABASE_URL', { timeout: 2 * START_TIMEOUT_MS }, () => {
  let database: TemporaryDatabase & { appUrl: string };
  let empty: TemporaryDatabase;
  beforeAll(async () => {
    database = await createDatabase();
    empty = await createEmptyDatabase(database.url);
  });
  afterAll(async () => {
    await empty.drop();
    await database.drop();
  });

  const changedUrl = (change: (url: URL) => unknown): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };

  test.each(['worker', 'api', 'setup'] as const)(
    'the %s reports DATABASE_URL when PostgreSQL rejects the password',
    async (entry) => {
      const DATABASE_URL = changedUrl((url) => (url.password = 'sesame'));
      const port = new URL(DATABASE_URL).port;
      const problems = await startupErrorsOf(entry, { DATABASE_URL, PORT: String(await freePort()) });

      expect(problems['DATABASE_URL']).toBe(
        `PostgreSQL on 127.0.0.1:${port} rejects the connection: password authentication failed for user "postgres"`,
      );
    },
  );

  test('reports DATABASE_URL of the API when the database does not exist or has no tables', async () => {
    const [missing, ofEmpty] = await Promise.all([
      startupErrorsOf('api', {
        DATABASE_URL: changedUrl((url) => (url.pathname = '/nothing')),
        PORT: String(await freePort()),
      }),
      startupErrorsOf('api', { DATABASE_URL: empty.url, PORT: String(await freePort()) }),
    ]);

    expect(missing['DATABASE_URL']).toMatch(/rejects the connection: database "nothing" does not exist$/);
    expect(ofEmpty['DATABASE_URL']).toMatch(/^database "\w+" on [\d.:]+ has no shop tables; run the setup first$/);
  });
});

describeOnDevServer('starting on a Temporal server', () => {
  let server: DevServer;
  let database: TemporaryDatabase;
  beforeAll(async () => {
    server = await startDevServer();
    database = await createDatabase();
  });
  afterAll(async () => {
    await database.drop();
    await server.close();
  });

  test.each(['worker', 'api'] as const)(
    'the %s reports TEMPORAL_NAMESPACE when the namespace does not exist',
    { timeout: 2 * START_TIMEOUT_MS },
    async (entry) => {
      const { address } = server;
      const problems = await startupErrorsOf(entry, {
        DATABASE_URL: database.url,
        TEMPORAL_ADDRESS: address,
        TEMPORAL_NAMESPACE: 'nothing',
        PORT: String(await freePort()),
      });

      expect(problems).toEqual({
        TEMPORAL_NAMESPACE: `Temporal on ${address} does not have this namespace; run the setup first, got "nothing"`,
      });
    },
  );

  test(
    'reports DATABASE_URL of the setup when its role is not allowed to create tables',
    { timeout: 2 * START_TIMEOUT_MS },
    async () => {
      const empty = await createEmptyDatabase(database.url);
      try {
        const url = new URL(empty.url);
        url.username = 'shop';
        const problems = await startupErrorsOf('setup', { DATABASE_URL: url.href, TEMPORAL_ADDRESS: server.address });
        expect(problems).toEqual({
          DATABASE_URL: expect.stringMatching(
            /^the role in the URL must .*permission denied for schema public$/,
          ) as string,
        });
      } finally {
        await empty.drop();
      }
    },
  );

  test('starts a worker that runs only activities, without a warning', { timeout: 2 * START_TIMEOUT_MS }, async () => {
    const { process, lines } = await startEntryPoint('worker', {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: server.address,
      WORKER_TASK_QUEUES: 'payments',
      HEALTH_PORT: String(await freePort()),
      METRICS_PORT: String(await freePort()),
    });
    try {
      await waitUntil(() => lines.some((line) => line.includes('"state":"RUNNING"')) || undefined, {
        description: 'the worker polling',
        timeoutMs: START_TIMEOUT_MS,
      });
      expect(lines.filter((line) => (JSON.parse(line) as { level: number }).level >= 40)).toEqual([]);
    } finally {
      expect(await process.stop(30_000)).toEqual({ code: 0, signal: null });
    }
  });
});
