import { formatCount, percentile } from '../measurement/statistics.js';
import type { AuditResult } from './audit/findings.js';
import type { ServerKind } from './command-line.js';
import { faultLabel } from './faults/inject.js';
import { COMPLETE, unresolvedRequests } from './client-log.js';
import type { ChaosResult, Recovery } from './chaos-result.js';

const SERVER_NAMES: Record<ServerKind, string> = {
  dev: "Temporal's dev server",
  full: 'the full Temporal server on PostgreSQL',
};

/** Formats the outcome of a run as Markdown that is also readable in a terminal. `machine` describes the hardware. */
export function renderResult(outcome: ChaosResult, machine: string): string {
  const { server, seed, seconds, baselineMs, recoveries, audit } = outcome;
  const baseline = baselineMs === undefined ? 'no order was completed' : formatSeconds(baselineMs);
  return [
    `### Seed ${seed}, ${Math.round(seconds)} s, on ${SERVER_NAMES[server]}`,
    '',
    machine,
    '',
    markdownTable(['fault', 'injected', 'recovery p50', 'p99', 'longest'], recoveryRows(recoveries)),
    '',
    `Recovery: time until an order that was placed afterwards is completed. Without a fault: ${baseline}.`,
    '',
    markdownTable(['requests', 'accepted', 'effects'], acceptedRows(audit)),
    '',
    markdownTable(['audit', ''], auditRows(outcome)),
    '',
    summaryText(outcome),
  ].join('\n');
}

function recoveryRows(recoveries: readonly Recovery[]): string[][] {
  const byKind = new Map<string, Recovery[]>();
  for (const recovery of recoveries) {
    const kind = faultLabel(recovery.fault);
    byKind.set(kind, [...(byKind.get(kind) ?? []), recovery]);
  }
  return [...[...byKind].sort(), ['all', recoveries] as const].map(([kind, group]) => [
    kind,
    String(group.length),
    ...recoveryTimes(group),
  ]);
}

function recoveryTimes(recoveries: readonly Recovery[]): string[] {
  if (recoveries.length === 0) return ['', '', ''];
  const all = recoveries.map(({ recoveryMs }) => recoveryMs);
  return [percentile(all, 0.5), percentile(all, 0.99), Math.max(...all)].map(formatSeconds);
}

function acceptedRows({ accepted, effects }: AuditResult): string[][] {
  return (Object.keys(accepted) as (keyof AuditResult['accepted'])[]).map((kind) => [
    kind,
    formatCount(accepted[kind]),
    formatCount(effects[kind]),
  ]);
}

function auditRows({ audit, log, housekeepingRuns }: ChaosResult): string[][] {
  const { lost, duplicated, reportedOpen, replayed, outcomes } = audit;
  const { sent, repeated, outOfOrder } = log.callbacks;
  const failed = Object.values(log.failedRequests).reduce((sum, count) => sum + count, 0);
  return [
    ['lost', formatCount(lost)],
    ['duplicated', formatCount(duplicated)],
    ['without a response', formatCount(unresolvedRequests(log).length)],
    ['reported as stuck by the shop', formatCount(reportedOpen.length)],
    [
      'histories replayed without a difference',
      `${formatCount(replayed.histories)} (${formatCount(replayed.events)} events)`,
    ],
    [
      'outcomes of orders',
      Object.entries(outcomes)
        .map(([end, count]) => `${formatCount(count)} ${end}`)
        .join(', '),
    ],
    [
      'additional callbacks',
      `${formatCount(sent)}: ${formatCount(repeated)} repeated, ${formatCount(outOfOrder)} out of order`,
    ],
    [
      'complete edge cases',
      `${log.edgeCases.filter(({ outcome }) => outcome === COMPLETE).length} of ${log.edgeCases.length}`,
    ],
    ['runs of the schedules', formatCount(housekeepingRuns)],
    ['HTTP requests sent', `${formatCount(log.requestsSent)}, of which ${formatCount(failed)} failed or were rejected`],
  ];
}

function summaryText({ seed, violations, artifactsDir }: ChaosResult): string {
  if (violations.length === 0) return `seed ${seed}: nothing lost, nothing duplicated`;
  return [
    `seed ${seed}: ${violations.length} ${violations.length === 1 ? 'violation' : 'violations'}`,
    ...violations.map(({ workflowId, message }) => `- ${workflowId}: ${message}`),
    '',
    `Logs, plan, client log and histories: ${artifactsDir}`,
  ].join('\n');
}

/** Formats a table with aligned columns. In a table with more than two columns, all but the first are right-aligned. */
function markdownTable(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)));
  const isText = head.length === 2;
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => (column === 0 || isText ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 || isText ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const formatSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
