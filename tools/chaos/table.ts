import { percentile } from '../bench/measure/percentile.js';
import type { Audit } from './audit/index.js';
import type { ServerKind } from './command-line.js';
import { kindOf } from './inflict.js';
import { COMPLETE, unansweredIn, type Ledger } from './ledger.js';
import type { Outcome, Recovery } from './run.js';

const SERVER_NAMES: Record<ServerKind, string> = {
  dev: "Temporal's dev server",
  full: 'the full Temporal server on PostgreSQL',
};

/** The outcome of a run as Markdown that also reads well on a terminal. `machine`: the hardware of the run. */
export function tablesOf(outcome: Outcome, machine: string): string {
  const { server, seed, seconds, undisturbedMs, recoveries, ledger, audit } = outcome;
  const undisturbed = undisturbedMs === undefined ? 'none was completed' : inSeconds(undisturbedMs);
  return [
    `### Seed ${seed}, ${Math.round(seconds)} s, on ${SERVER_NAMES[server]}`,
    '',
    machine,
    '',
    aligned(['fault', 'injected', 'recovery p50', 'p99', 'longest'], recoveryRows(recoveries)),
    '',
    `Recovery: until an order that was placed afterwards is completed. Without a fault: ${undisturbed}.`,
    '',
    aligned(['requests', 'accepted', 'effects'], acceptedRows(audit)),
    '',
    aligned(['audit', ''], auditRows(audit, ledger)),
    '',
    verdictOf(outcome),
  ].join('\n');
}

function recoveryRows(recoveries: readonly Recovery[]): string[][] {
  const byKind = new Map<string, Recovery[]>();
  for (const recovery of recoveries) {
    const kind = kindOf(recovery.fault);
    byKind.set(kind, [...(byKind.get(kind) ?? []), recovery]);
  }
  return [...[...byKind].sort(), ['all', recoveries] as const].map(([kind, group]) => [
    kind,
    String(group.length),
    ...times(group),
  ]);
}

function times(recoveries: readonly Recovery[]): string[] {
  if (recoveries.length === 0) return ['', '', ''];
  const all = recoveries.map(({ ms }) => ms);
  return [percentile(all, 0.5), percentile(all, 0.99), Math.max(...all)].map(inSeconds);
}

function acceptedRows({ accepted, effects }: Audit): string[][] {
  return (Object.keys(accepted) as (keyof Audit['accepted'])[]).map((kind) => [
    kind,
    grouped(accepted[kind]),
    grouped(effects[kind]),
  ]);
}

function auditRows({ lost, doubled, reported, replayed, outcomes }: Audit, ledger: Ledger): string[][] {
  const { sent, repeated, outOfOrder } = ledger.callbacks;
  const again = Object.values(ledger.refused).reduce((sum, count) => sum + count, 0);
  return [
    ['lost', grouped(lost)],
    ['doubled', grouped(doubled)],
    ['never answered', grouped(unansweredIn(ledger).length)],
    ['reported as stuck by the shop itself', grouped(reported.length)],
    ['histories replayed without a difference', `${grouped(replayed.histories)} (${grouped(replayed.events)} events)`],
    [
      'how orders ended',
      Object.entries(outcomes)
        .map(([end, count]) => `${grouped(count)} ${end}`)
        .join(', '),
    ],
    [
      'callbacks besides the carrier’s own',
      `${grouped(sent)}: ${grouped(repeated)} again, ${grouped(outOfOrder)} out of order`,
    ],
    [
      'edge cases played to their end',
      `${ledger.edgeCases.filter(({ outcome }) => outcome === COMPLETE).length} of ${ledger.edgeCases.length}`,
    ],
    ['HTTP requests sent', `${grouped(ledger.attempts)}, of which ${grouped(again)} did not get what they asked for`],
  ];
}

function verdictOf({ seed, violations, keptIn }: Outcome): string {
  if (violations.length === 0) return `seed ${seed}: nothing lost, nothing doubled`;
  return [
    `seed ${seed}: ${violations.length} ${violations.length === 1 ? 'violation' : 'violations'}`,
    ...violations.map(({ workflowId, what }) => `- ${workflowId}: ${what}`),
    '',
    `Logs, plan, ledger and histories: ${keptIn}`,
  ].join('\n');
}

/** A table with aligned columns. All columns but the first are right-aligned, if the table has more than two. */
function aligned(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)));
  const isText = head.length === 2;
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => (column === 0 || isText ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 || isText ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const grouped = (count: number): string => count.toLocaleString('en-US');
