import { describe, expect, test } from 'vitest';
import { Findings } from '../../../tools/chaos/audit/findings.js';
import type { ChaosResult } from '../../../tools/chaos/chaos-result.js';
import { renderResult } from '../../../tools/chaos/result-tables.js';

const makeRequestEntry = (key: string, outcome: 'accepted' | 'rejected' | 'unknown') => ({
  key,
  outcome,
  responses: [],
});

/** Returns the outcome of a run with four faults and two customers. One request got no response. */
function makeOutcome(): ChaosResult {
  const audit = new Findings();
  Object.assign(audit.accepted, { orders: 1_234 });
  Object.assign(audit.effects, { orders: 1_233 });
  audit.addLost('order:7', 'was accepted and is not there');
  audit.outcomes['completed'] = 1_233;
  audit.replayed = { histories: 2, events: 58 };
  return {
    server: 'dev',
    seed: 5,
    seconds: 61.4,
    baselineMs: 1_250,
    housekeepingRuns: 12,
    audit,
    violations: audit.violations,
    recoveries: [
      { fault: { kind: 'kill', process: 'worker' }, recoveryMs: 2_000 },
      { fault: { kind: 'kill', process: 'worker' }, recoveryMs: 4_000 },
      { fault: { kind: 'kill', process: 'postgres' }, recoveryMs: 9_000 },
      { fault: { kind: 'reset', link: 'clients to API' }, recoveryMs: 300 },
    ],
    log: {
      products: [],
      orders: [],
      approvals: [],
      batches: [],
      requestsSent: 3_000,
      failedRequests: { 'place 503': 11 },
      carts: [
        {
          cartId: 'mine',
          end: 'open',
          closingRequests: [],
          customerId: 'somebody',
          token: 'tok_ok',
          changes: [
            { ...makeRequestEntry('1', 'accepted'), kind: 'add', sku: 'A', quantity: 1 },
            { ...makeRequestEntry('2', 'rejected'), kind: 'add', sku: 'A', quantity: 1 },
            { ...makeRequestEntry('3', 'unknown'), kind: 'remove', sku: 'A', quantity: 0 },
          ],
        },
      ],
      callbacks: { sent: 5, repeated: 3, outOfOrder: 2 },
      foreignReportOrderIds: [],
      resetWorkflowIds: [],
      edgeCases: [
        { name: 'late delivery', workflowId: 'order:8', outcome: 'complete' },
        { name: 'expired key', workflowId: 'order:9' },
      ],
    },
    artifactsDir: '/somewhere',
  };
}

/** Returns the trimmed cells of the row with this title. */
const rowOf = (tables: string, title: string): string[] | undefined =>
  tables
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .find(([first]) => first === title)
    ?.slice(1);

describe('the tables of a chaos run', () => {
  test.each<[string, string[]]>([
    ['SIGKILL of the worker', ['2', '4.0 s', '4.0 s', '4.0 s']],
    ['SIGKILL of PostgreSQL', ['1', '9.0 s', '9.0 s', '9.0 s']],
    ['all connections of a link reset', ['1', '0.3 s', '0.3 s', '0.3 s']],
    ['all', ['4', '4.0 s', '9.0 s', '9.0 s']],
    ['orders', ['1,234', '1,233']],
    ['lost', ['1']],
    ['duplicated', ['0']],
    ['without a response', ['1']],
    ['histories replayed without a difference', ['2 (58 events)']],
    ['runs of the schedules', ['12']],
    ['complete edge cases', ['1 of 2']],
    ['HTTP requests sent', ['3,000, of which 11 failed or were rejected']],
  ])('the row "%s" contains %j', (title, cells) => {
    expect(rowOf(renderResult(makeOutcome(), 'a machine'), title)).toEqual(cells);
  });

  test('the result ends with the violations by workflow id and the folder with the evidence', () => {
    const end = renderResult(makeOutcome(), 'a machine').split('\n').slice(-4);
    expect(end).toEqual([
      'seed 5: 1 violation',
      '- order:7: was accepted and is not there',
      '',
      'Logs, plan, client log and histories: /somewhere',
    ]);
  });
});
