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

test('serves each metrics page at its path in the Prometheus format, and returns 404 for other paths', async () => {
  const port = await freePort();
  const createPage = (text: string) => ({ contentType: Registry.PROMETHEUS_CONTENT_TYPE, metrics: async () => text });
  cleanups.push(
    await serveMetrics(
      { '/metrics': createPage('a 1'), '/metrics/business': createPage('b 2') },
      { host, port, logger },
    ),
  );

  const responses = await Promise.all(
    ['/metrics', '/metrics/business', '/'].map(async (path) => {
      const response = await fetch(`http://${host}:${port}${path}`);
      return [response.status, response.headers.get('content-type'), (await response.text()).slice(0, 3)];
    }),
  );
  expect(responses.slice(0, 2)).toEqual([
    [200, Registry.PROMETHEUS_CONTENT_TYPE, 'a 1'],
    [200, Registry.PROMETHEUS_CONTENT_TYPE, 'b 2'],
  ]);
  expect(responses[2]![0]).toBe(404);
});
