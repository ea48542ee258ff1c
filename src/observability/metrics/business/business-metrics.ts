import { Gauge, Registry } from 'prom-client';
import { withTimeout } from '../../../async/promises.js';
import type { MetricsPage } from '../metrics-server.js';
import { collectBatches } from './batches.js';
import type { Collector, CollectorContext, GaugeFamily } from './collector.js';
import { collectApprovals, collectOrders, collectWorkflows } from './open-workflows.js';
import { collectTaskQueues } from './task-queues.js';

/** How long a result is cached for all scrapes. */
const CACHE_MS = 2_000;

/** Time limit of requests to Temporal. Below Prometheus's default scrape timeout of 10 s. */
const TEMPORAL_TIMEOUT_MS = 5_000;

/** Time limit of a collector. Its requests to Temporal have ended before. */
const COLLECTOR_TIMEOUT_MS = TEMPORAL_TIMEOUT_MS + 1_000;

/**
 * A store result is cached for this multiple of its query time, so that these queries use at most a twentieth of the
 * time.
 */
const CACHE_TIME_FACTOR = 20;

/** By the value of the label `collector`. */
const COLLECTORS: Record<string, Collector> = {
  workflows: collectWorkflows,
  orders: collectOrders,
  approvals: collectApprovals,
  batches: collectBatches,
  task_queues: collectTaskQueues,
};

/**
 * Business metrics from Temporal and the store, read on demand. Every API process returns the same values, so
 * Prometheus must scrape only one of them. The metrics of a collector that fails are omitted, and
 * `shop_business_last_scrape_error` reports the collector.
 */
export function createBusinessMetrics({ client, store, operations }: CollectorContext): MetricsPage {
  const context = {
    client,
    operations,
    store: { readBatchStats: cacheByQueryTime((ids: readonly string[]) => store.readBatchStats(ids)) },
  };
  let current: Promise<string> | undefined;
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    metrics() {
      current ??= collectMetrics(context).finally(() => setTimeout(() => (current = undefined), CACHE_MS).unref());
      return current;
    },
  };
}

async function collectMetrics(context: CollectorContext): Promise<string> {
  const registry = new Registry();
  const errors: GaugeFamily = {
    name: 'shop_business_last_scrape_error',
    help: 'Whether a collector of this page failed in the last scrape (1) or not (0)',
    values: [],
  };
  await Promise.all(
    Object.entries(COLLECTORS).map(async ([name, collect]) => {
      const families = await collectInTime(collect, context).catch(() => undefined);
      for (const family of families ?? []) registerGauge(registry, family);
      errors.values.push({ labels: { collector: name }, value: families ? 0 : 1 });
    }),
  );
  registerGauge(registry, errors);
  return await registry.metrics();
}

/** @throws when the collector fails or takes too long. */
async function collectInTime(collect: Collector, context: CollectorContext): Promise<GaugeFamily[]> {
  const families = context.client.withDeadline(Date.now() + TEMPORAL_TIMEOUT_MS, () => collect(context));
  return await withTimeout(families, COLLECTOR_TIMEOUT_MS, () => {
    throw new Error(`the collector did not finish within ${COLLECTOR_TIMEOUT_MS} ms`);
  });
}

function registerGauge(registry: Registry, { name, help, values }: GaugeFamily): void {
  const labelNames = Object.keys(values[0]?.labels ?? {});
  const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const { labels, value } of values) gauge.set(labels, value);
}

/**
 * Caches the last result or failure of `run` for `CACHE_TIME_FACTOR` times as long as the call took. Calls during a
 * run get its result.
 */
function cacheByQueryTime<Argument, Result>(run: (argument: Argument) => Promise<Result>): typeof run {
  let last: { result: Promise<Result>; validUntil: number } | undefined;
  return async (argument) => {
    if (last && performance.now() < last.validUntil) return await last.result;
    const startedAt = performance.now();
    const call = { result: run(argument), validUntil: Infinity };
    last = call;
    return await call.result.finally(() => {
      const endedAt = performance.now();
      call.validUntil = endedAt + CACHE_TIME_FACTOR * (endedAt - startedAt);
    });
  };
}
