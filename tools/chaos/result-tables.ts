import { percentile } from '../measurement/statistics.js';
import type { AuditResult } from './audit/audit.js';
import type { ServerKind } from './command-line.js';
import { faultLabel } from './faults/inject.js';
import { COMPLETE, unresolvedRequests, type ClientLog } from './client-log.js';
import type { ChaosResult, Recovery } from './chaos-run.js';

const SERVER_NAMES: Record<ServerKind, string> = {
  dev: "Temporal's dev server",
  full: 'the full Temporal server on PostgreSQL',
};

/** The outcome of a run as Markdown that also reads well on a terminal. `machine`: the hardware of the run. */
export function renderResult(outcome: ChaosResult, machine: string): string {
  const { server, seed, seconds, baselineMs, recoveries, ledger, audit } = outcome;
  const undisturbed = baselineMs === undefined ? 'none was completed' : formatSeconds(baselineMs);
  return [
    `### Seed ${seed}, ${Math.round(seconds)} s, on ${SERVER_NAMES[server]}`,
    '',
    machine,
    '',
    markdownTable(['fault', 'injected', 'recovery p50', 'p99', 'longest'], recoveryRows(recoveries)),
    '',
    `Recovery: until an order that was placed afterwards is completed. Without a fault: ${undisturbed}.`,
    '',
    markdownTable(['requests', 'accepted', 'effects'], acceptedRows(audit)),
    '',
    markdownTable(['audit', ''], auditRows(audit, ledger)),
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

function auditRows({ lost, duplicated, reportedOpen, replayed, outcomes }: AuditResult, ledger: ClientLog): string[][] {
  const { sent, repeated, outOfOrder } = ledger.callbacks;
  const again = Object.values(ledger.failedRequests).reduce((sum, count) => sum + count, 0);
  return [
    ['lost', formatCount(lost)],
    ['duplicated', formatCount(duplicated)],
    ['never answered', formatCount(unresolvedRequests(ledger).length)],
    ['reported as stuck by the shop itself', formatCount(reportedOpen.length)],
    [
      'histories replayed without a difference',
      `${formatCount(replayed.histories)} (${formatCount(replayed.events)} events)`,
    ],
    [
      'how orders ended',
      Object.entries(outcomes)
        .map(([end, count]) => `${formatCount(count)} ${end}`)
        .join(', '),
    ],
    [
      'callbacks besides the carrier’s own',
      `${formatCount(sent)}: ${formatCount(repeated)} again, ${formatCount(outOfOrder)} out of order`,
    ],
    [
      'edge cases played to their end',
      `${ledger.edgeCases.filter(({ outcome }) => outcome === COMPLETE).length} of ${ledger.edgeCases.length}`,
    ],
    [
      'HTTP requests sent',
      `${formatCount(ledger.requestsSent)}, of which ${formatCount(again)} did not get what they asked for`,
    ],
  ];
}

function summaryText({ seed, violations, artifactsDir }: ChaosResult): string {
  if (violations.length === 0) return `seed ${seed}: nothing lost, nothing duplicated`;
  return [
    `seed ${seed}: ${violations.length} ${violations.length === 1 ? 'violation' : 'violations'}`,
    ...violations.map(({ workflowId, message }) => `- ${workflowId}: ${message}`),
    '',
    `Logs, plan, ledger and histories: ${artifactsDir}`,
  ].join('\n');
}

/** A table with aligned columns. All columns but the first are right-aligned, if the table has more than two. */
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

const formatCount = (count: number): string => count.toLocaleString('en-US');
