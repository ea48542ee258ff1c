import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { describe, expect, inject } from 'vitest';
import { replay, type Bundle, type Recorded } from '../../dev/replay/replay.js';
import type { Difference } from '../../dev/replay/difference.js';
import '../support/quiet-runtime.js';
import { recordedHistories as histories, testWithHistories } from '../support/recorded-histories.js';

/** Where the replay of each history leaves it, by file name; undefined where it does not. */
async function differences(
  histories: (Recorded & { file: string })[],
  bundle: Bundle,
): Promise<Record<string, Difference | undefined>> {
  const found: Record<string, Difference | undefined> = {};
  for await (const { file, difference } of replay(histories, { workflowBundle: bundle })) found[file!] = difference;
  return found;
}

describe('replay of committed histories', () => {
  testWithHistories('when the workflows of today replay every recorded history, then none diverges', async () => {
    const found = await differences(histories, { codePath: inject('workflowBundle') });

    expect(Object.keys(found)).toEqual(histories.map(({ file }) => file));
    expect(Object.entries(found).filter(([, difference]) => difference)).toEqual([]);
  });

  testWithHistories(
    'when an order would charge before it reserves, then the replay of a completed order says where',
    async () => {
      const { code } = await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('fixtures/incompatible.workflows.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
      });
      const completed = histories.filter(({ file }) => file.endsWith('order-completed.json'));

      const found = await differences(completed, { code });

      expect(new Set(completed.map(({ type }) => type))).toEqual(new Set(['order', 'orderV2']));
      for (const { file } of completed) {
        expect(found[file]).toEqual({
          event: { id: expect.any(Number) as number, type: 'MarkerRecorded', subject: 'reserveStock' },
          what: 'the history has MarkerRecorded reserveStock, the code does not do that',
        });
      }
    },
  );

  testWithHistories('when the recordings are listed, then every outcome of each workflow is among them', async () => {
    const names = histories.map(({ file }) => file.split('/').at(-1));
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
