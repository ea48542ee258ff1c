import { createServer, type AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../dev/ports.js';
import { startProcess, typescript } from '../../dev/processes.js';
import { ConfigError } from '../../src/config.js';
import { createLogger } from '../../src/logger.js';
import { serveMetrics } from '../../src/metrics/listener.js';
import { approvalEnvironment } from '../support/activities.js';
import { CURSOR_SECRET } from '../support/api.js';
import { CARRIER_WEBHOOK_SECRET } from '../support/outside-world.js';

const host = '127.0.0.1';
const logger = createLogger('api', 'silent');
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  ends.push(() => new Promise((closed) => server.close(closed)));
  return (server.address() as AddressInfo).port;
}

test('when pages are served, then each at its path in the format of Prometheus, and nothing else', async () => {
  const port = await freePort();
  const page = (text: string) => ({ contentType: Registry.PROMETHEUS_CONTENT_TYPE, metrics: async () => text });
  ends.push(await serveMetrics({ '/metrics': page('a 1'), '/metrics/business': page('b 2') }, { host, port, logger }));

  const answers = await Promise.all(
    ['/metrics', '/metrics/business', '/'].map(async (path) => {
      const answer = await fetch(`http://${host}:${port}${path}`);
      return [answer.status, answer.headers.get('content-type'), (await answer.text()).slice(0, 3)];
    }),
  );
  expect(answers.slice(0, 2)).toEqual([
    [200, Registry.PROMETHEUS_CONTENT_TYPE, 'a 1'],
    [200, Registry.PROMETHEUS_CONTENT_TYPE, 'b 2'],
  ]);
  expect(answers[2]![0]).toBe(404);
});

test('when the port is taken, then it is said which, and by which variable it changes', async () => {
  const port = await takenPort();
  const serving = serveMetrics({}, { host, port, logger });
  await expect(serving).rejects.toThrow(ConfigError);
  await expect(serving).rejects.toThrow(`METRICS_PORT: port ${port} on ${host} is taken`);
});

test('when the port is taken, then neither worker nor API starts', async () => {
  const port = await takenPort();
  const env = {
    ...{ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/shop', TEMPORAL_ADDRESS: '127.0.0.1:1', METRICS_PORT: String(port) },
    ...{ PAYMENTS_URL: 'http://127.0.0.1:1', CARRIER_URL: 'http://127.0.0.1:1', LOG_LEVEL: 'silent' },
    ...approvalEnvironment({ smtpUrl: 'smtp://127.0.0.1:1' }),
    ...{ CARRIER_WEBHOOK_SECRET, APPROVAL_WEBHOOK_SECRET: CARRIER_WEBHOOK_SECRET, CURSOR_SECRET },
  };
  const ended = ['src/worker.ts', 'src/api/server.ts'].map(async (file) => {
    const { exited, tail } = await startProcess({ name: file, ...typescript(file), env });
    return [(await exited).code, tail()];
  });
  const said = `METRICS_PORT: port ${port} on ${host} is taken (METRICS_HOST and METRICS_PORT say where)`;
  expect(await Promise.all(ended)).toEqual([
    [1, said],
    [1, said],
  ]);
});
