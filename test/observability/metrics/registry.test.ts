import { collectDefaultMetrics, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import { createRequestMetricsInterceptor } from '../../../src/observability/metrics/temporal-requests.js';
import { readDocumentedMetrics } from '../../support/documented-metrics.js';

/** The fields of a metric that prom-client does not declare. */
interface RegisteredMetric {
  name: string;
  type: string;
  labelNames?: string[];
}

const byName = (one: { name: string }, other: { name: string }) => one.name.localeCompare(other.name);

test('docs/reference/metrics.md lists the metrics in the registry of the API with their types and labels', () => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  createHttpMetrics(registry);
  createRequestMetricsInterceptor(registry);
  const registered = (registry.getMetricsAsArray() as unknown as RegisteredMetric[])
    .map(({ name, type, labelNames = [] }) => ({ name, type, labels: [...labelNames].sort() }))
    .sort(byName);

  const documented = [...readDocumentedMetrics('Shop'), ...readDocumentedMetrics('Process')]
    .filter(({ exportedBy }) => exportedBy === 'API')
    .map(({ name, type, labels }) => ({ name, type, labels }))
    .sort(byName);
  // Some process metrics exist only on Linux.
  if (process.platform === 'linux') expect(registered).toEqual(documented);
  else expect(documented).toEqual(expect.arrayContaining(registered));
});
