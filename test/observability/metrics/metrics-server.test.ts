import { Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { createLogger } from '../../../src/observability/logger.js';
import { serveMetrics } from '../../../src/observability/metrics/metrics-server.js';
import { freePort } from '../../support/processes.js';

const host = '127.0.0.1';
const logger = createLogger('api', 'silent');
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of cleanups.splice(0)) await end();
});

test('serves each page at its path in the Prometheus format, and nothing else', async () => {
  const port = await freePort();
  const page = (text: string) => ({ contentType: Registry.PROMETHEUS_CONTENT_TYPE, metrics: async () => text });
  cleanups.push(
    await serveMetrics({ '/metrics': page('a 1'), '/metrics/business': page('b 2') }, { host, port, logger }),
  );

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
