import { Gauge, Registry } from 'prom-client';
import { withTimeout } from '../../../async/promises.js';
import type { MetricsPage } from '../metrics-server.js';
import { collectBatches } from './batches.js';
import type { Collector, CollectorContext, GaugeFamily } from './collector.js';
import { collectApprovals, collectOrders, collectWorkflows } from './open-workflows.js';
import { collectTaskQueues } from './task-queues.js';

/** All scrapes within this time get the same result. */
const CACHE_MS = 2_000;

/** The time limit for requests to Temporal. It is below Prometheus's default scrape timeout of 10 s. */
const TEMPORAL_TIMEOUT_MS = 5_000;

/**
 * The time limit for a collector. It is longer than the limit for requests, so no request is in progress when a
 * collector times out.
 */
const COLLECTOR_TIMEOUT_MS = TEMPORAL_TIMEOUT_MS + 1_000;

/**
 * A store result is cached for its query time multiplied by this factor. So the store spends at most a twentieth of the
 * time on these queries.
 */
const CACHE_TIME_FACTOR = 20;

/** The collectors by the value of the label `collector`. */
const COLLECTORS: Record<string, Collector> = {
  workflows: collectWorkflows,
  orders: collectOrders,
  approvals: collectApprovals,
  batches: collectBatches,
  task_queues: collectTaskQueues,
};

/**
 * Creates the page of business metrics, which are read from Temporal and the store at each scrape. Every API process
 * returns the same values, so Prometheus must scrape only one of them. If a collector fails, its metrics are missing,
 * and `shop_business_last_scrape_error` is 1 for this collector.
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
 * Caches the last result or failure of `run`. A cached result is valid for `CACHE_TIME_FACTOR` times the duration of
 * its call. Concurrent calls share one result.
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
