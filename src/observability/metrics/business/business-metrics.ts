import { Gauge, Registry } from 'prom-client';
import type { MetricsPage } from '../metrics-server.js';
import { collectBatchProgress, collectIdleBatches, collectOpenBatches } from './batches.js';
import type { CollectorContext, GaugeFamily } from './collector.js';
import { createSource, type Source, type SourceOptions } from './source.js';
import { collectTaskQueues } from './task-queues.js';
import { collectPendingApprovals, collectWorkflows } from './totals.js';
import { collectOrders, collectOverdueApprovals, collectUnreconciledOrders } from './waiting-for-people.js';

/**
 * A scrape waits for the numbers that alerts use. The timeout is below Prometheus's default scrape timeout of 10 s.
 */
const FOR_ALERTS = { minPauseMs: 5_000, pauseFactor: 0, timeoutMs: 5_000 };

/** The reads of these numbers take at most a twentieth of the time, because their cost grows with the data. */
const PAUSE_FACTOR = 20;

/** A scrape never waits for a total. It shows the values of the last read. */
const FOR_DASHBOARDS = { minPauseMs: 60_000, pauseFactor: PAUSE_FACTOR, timeoutMs: 10_000 };

/**
 * Older totals are left out. Longer than the longest pause, which is twenty times eleven seconds, plus a scrape interval
 * of one minute.
 */
const MAX_TOTAL_AGE_MS = 300_000;

/** The sources of the numbers that alerts use, by the value of the label `collector`. */
const ALERT_SOURCES: Record<string, SourceOptions> = {
  orders: { ...FOR_ALERTS, collect: collectOrders },
  unreconciled_orders: { ...FOR_ALERTS, collect: collectUnreconciledOrders },
  approvals: { ...FOR_ALERTS, collect: collectOverdueApprovals },
  batches: { ...FOR_ALERTS, pauseFactor: PAUSE_FACTOR, collect: collectIdleBatches },
  task_queues: { ...FOR_ALERTS, collect: collectTaskQueues },
};

const TOTAL_SOURCES: Record<string, SourceOptions> = {
  workflows: { ...FOR_DASHBOARDS, collect: collectWorkflows },
  pending_approvals: { ...FOR_DASHBOARDS, collect: collectPendingApprovals },
  open_batches: { ...FOR_DASHBOARDS, collect: collectOpenBatches },
  batch_progress: { ...FOR_DASHBOARDS, collect: collectBatchProgress },
};

type NamedSource = readonly [name: string, source: Source];

/**
 * Creates the page of business metrics. A scrape reads the numbers that alerts use, unless another scrape has just read
 * them. Then it starts the reads of the totals, for a later scrape. So a slow or failing total neither delays nor
 * removes a number that an alert uses. If a source fails, its metrics are missing, and `shop_business_last_scrape_error`
 * is 1 for this source.
 *
 * Every API process returns the same values, so Prometheus must scrape only one of them.
 */
export function createBusinessMetrics(context: CollectorContext): MetricsPage {
  const createSources = (sources: Record<string, SourceOptions>): NamedSource[] =>
    Object.entries(sources).map(([name, options]) => [name, createSource(options, context)]);
  const alertSources = createSources(ALERT_SOURCES);
  const totalSources = createSources(TOTAL_SOURCES);
  const allSources = [...alertSources, ...totalSources];
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    async metrics() {
      await Promise.all(alertSources.map(([, source]) => source.refresh()));
      const page = renderPage(allSources);
      // Starts afterwards, so that totals do not use up the server's rate limit of visibility before the alerts.
      for (const [, source] of totalSources) void source.refresh();
      return await page;
    },
    async settled() {
      await Promise.all(allSources.map(([, source]) => source.settled()));
    },
  };
}

/** Renders the last values of each source. A total that was not read yet is missing. */
async function renderPage(sources: readonly NamedSource[]): Promise<string> {
  const registry = new Registry();
  const errors = emptyFamily('last_scrape_error', 'Whether the last read of a source failed (1) or not (0)');
  const ages = emptyFamily('age_seconds', 'Time since the last read of a source');
  const durations = emptyFamily('read_seconds', 'Duration of the last read of a source');
  const now = performance.now();
  for (const [collector, source] of sources) {
    const reading = source.lastReading();
    if (!reading) continue;
    const { families, durationMs, endedAtMs } = reading;
    const ageMs = now - endedAtMs;
    if (ageMs <= MAX_TOTAL_AGE_MS) for (const family of families ?? []) registerGauge(registry, family);
    const labels = { collector };
    errors.values.push({ labels, value: families ? 0 : 1 });
    ages.values.push({ labels, value: Math.round(ageMs) / 1000 });
    durations.values.push({ labels, value: Math.round(durationMs) / 1000 });
  }
  for (const family of [errors, ages, durations]) registerGauge(registry, family);
  return await registry.metrics();
}

const emptyFamily = (name: string, help: string): GaugeFamily => ({ name: `shop_business_${name}`, help, values: [] });

function registerGauge(registry: Registry, { name, help, values }: GaugeFamily): void {
  const labelNames = Object.keys(values[0]?.labels ?? {});
  const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const { labels, value } of values) gauge.set(labels, value);
}
