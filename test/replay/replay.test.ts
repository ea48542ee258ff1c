import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker, type ReplayHistoriesIterable } from '@temporalio/worker';
import { describe, expect, inject, test } from 'vitest';
import '../support/quiet-runtime.js';

const folder = fileURLToPath(new URL('histories', import.meta.url));

interface Recorded {
  name: string;
  workflowId: string;
  history: unknown;
}

async function recordedHistories(): Promise<Recorded[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.json')).sort();
  return await Promise.all(
    files.map(async (name) => {
      const history = JSON.parse(await readFile(join(folder, name), 'utf8')) as {
        events: { workflowExecutionStartedEventAttributes?: { workflowId: string } }[];
      };
      return { name, workflowId: history.events[0]!.workflowExecutionStartedEventAttributes!.workflowId, history };
    }),
  );
}

/** What went wrong in the replay of each history, by file name; undefined when nothing did. */
async function replay(
  histories: Recorded[],
  workflowBundle: { codePath: string } | { code: string },
): Promise<Record<string, string | undefined>> {
  const results = Worker.runReplayHistories(
    { workflowBundle },
    histories.map(({ workflowId, history }) => ({ workflowId, history })) as ReplayHistoriesIterable,
  );
  const problems: Record<string, string | undefined> = {};
  for await (const { workflowId, error } of results) {
    const replayed = histories.find(
      (candidate) => candidate.workflowId === workflowId && !(candidate.name in problems),
    );
    problems[replayed!.name] = error?.message;
  }
  return problems;
}

const histories = await recordedHistories();

describe('replay of committed histories', () => {
  test('when the workflows of today replay every recorded history, then none diverges', async () => {
    const problems = await replay(histories, { codePath: inject('workflowBundle') });

    expect(Object.keys(problems).sort()).toEqual(histories.map(({ name }) => name));
    expect(Object.entries(problems).filter(([, problem]) => problem)).toEqual([]);
  });

  test('when an order would charge before it reserves, then the replay of a completed order says so', async () => {
    const { code } = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('fixtures/incompatible.workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    const completed = histories.filter(({ name }) => name.endsWith('order-completed.json'));

    const problems = await replay(completed, { code });

    expect(completed).not.toEqual([]);
    expect(Object.values(problems)).toHaveLength(completed.length);
    for (const problem of Object.values(problems)) expect(problem).toMatch(/nondeterminis/i);
  });

  test('when the recordings are listed, then every outcome of each workflow is among them', async () => {
    const names = histories.map(({ name }) => name.split('/').at(-1));
    expect(names).toEqual(
      expect.arrayContaining([
        'order-completed.json',
        'order-rejected-unknown-sku.json',
        'order-rejected-out-of-stock.json',
        'order-rejected-card-declined.json',
        'order-cancelled-by-update.json',
        'order-cancelled-natively.json',
        'order-cancellation-refused.json',
        'order-failed-invalid-input.json',
        'order-failed-shipment-lost.json',
        'order-failed-delivery-timeout.json',
        'order-stuck-and-retried.json',
        'order-stuck-and-healed.json',
        'order-carrier-asked.json',
        'order-stuck-and-skipped.json',
        'cart-checked-out.json',
        'cart-order-there-already.json',
        'cart-expired-after-reminder.json',
        'cart-changed-after-reminder.json',
        'cart-expired-empty.json',
        'cart-refused-at-once.json',
        'cart-abandoned.json',
        'cart-continued-as-new.json',
        'cart-carried-on.json',
        'cart-signals.json',
        'cart-invalid-input.json',
        'cart-cancelled.json',
        'cart-owned.json',
        'approval-approved.json',
        'approval-rejected-by-signal.json',
        'approval-approved-by-webhook-and-reported.json',
        'approval-timed-out-through-stages.json',
        'approval-approved-by-time-out.json',
        'approval-withdrawn.json',
        'approval-cancelled.json',
        'approval-mail-refused-and-report-failed.json',
        'approval-failed-invalid-input.json',
        'batch-completed.json',
        'batch-completed-with-failures.json',
        'batch-retried.json',
        'batch-paused-and-resumed.json',
        'batch-cancelled.json',
        'batch-with-children.json',
        'batch-shard.json',
        'batch-child-terminated.json',
        'batch-failed-invalid-input.json',
        'batch-failed-not-found.json',
        'order-approved.json',
        'order-rejected-not-approved.json',
        'order-rejected-approval-timed-out.json',
        'order-rejected-approval-withdrawn.json',
        'order-cancelled-while-awaiting-approval.json',
      ]),
    );
  });
});
