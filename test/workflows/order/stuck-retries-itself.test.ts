import { Worker } from '@temporalio/worker';
import { expect, inject, test } from 'vitest';
import { waitUntil } from '../../../tools/processes/wait.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { resolveCompensationUpdate } from '../../../src/workflows/order/contract.js';
import { secondsToRetry } from '../../../src/workflows/order/state.js';
import {
  anOrderId,
  describeOrders,
  type OrderShop,
  type PlacedOrder,
  type PlaceOptions,
} from '../../support/order-shop.js';

const HOUR_MS = 3_600_000;

/** Places an order whose card is declined and whose stock release fails `times` times. */
async function stuckInRelease(shop: OrderShop, { times = 1, ...options }: PlaceOptions & { times?: number } = {}) {
  const orderId = anOrderId();
  shop.activities.fail('releaseStock', orderId, { times });
  const order = await shop.place({ orderId, token: 'tok_declined', ...options });
  await order.seen(({ status }) => status === 'compensation_stuck', 'stuck');
  return order;
}

const releaseIn = ({ compensations }: OrderView) => compensations.find(({ name }) => name === 'releaseStock');

/** The time of the next attempt after that many failures, in milliseconds since the epoch. */
async function nextTry(order: PlacedOrder, failures: number): Promise<number> {
  const failed = () => order.attempts('releaseStock').filter((end) => end === 'failed').length >= failures || undefined;
  await waitUntil(failed, { what: `${failures} failures`, deadlineMs: 20_000 });
  const view = await order.seen(({ status }) => status === 'compensation_stuck', 'stuck again');
  return Date.parse(releaseIn(view)!.nextTryAt!);
}

test('secondsToRetry doubles from an hour to a day and ends after a year', () => {
  const hours = [1, 2, 3, 4, 5, 6, 7, 365].map((attempt) => secondsToRetry(attempt)! / 3600);

  expect(hours).toEqual([1, 2, 4, 8, 16, 24, 24, 24]);
  expect(secondsToRetry(366)).toBeUndefined();
});

describeOrders('a compensation that is stuck', (shop) => {
  test('is retried after an hour without an operator, and the order is rolled back', async () => {
    const order = await stuckInRelease(shop());
    const stuck = releaseIn(await order.view())!;
    const view = await order.result();
    const healed = releaseIn(view)!;

    expect(stuck).toMatchObject({ status: 'stuck', reason: { type: 'ToldToFail' } });
    const hours = (Date.parse(stuck.nextTryAt!) - Date.parse(stuck.startedAt)) / HOUR_MS;
    expect(hours).toBeCloseTo(1, 1);
    expect(view).toMatchObject({ status: 'rejected', reason: { type: 'CardDeclined' } });
    expect(healed).toMatchObject({ status: 'completed' });
    expect(healed).not.toHaveProperty('nextTryAt');
    expect(Date.parse(healed.endedAt!)).toBeGreaterThanOrEqual(Date.parse(stuck.nextTryAt!));
    expect(order.attempts('releaseStock')).toEqual(['failed', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'undone' });
  });

  test('waits twice as long after the next failure', async () => {
    const order = await stuckInRelease(shop(), { times: 2 });
    const first = await nextTry(order, 1);
    await shop().skip('61 minutes');
    const second = await nextTry(order, 2);
    const view = await order.view();
    await order.result();

    expect(view).toMatchObject({ status: 'compensation_stuck', stage: 'compensating' });
    expect((second - first) / HOUR_MS).toBeCloseTo(2, 1);
    expect(order.attempts('releaseStock')).toEqual(['failed', 'failed', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'undone' });
  });

  test('is resolved by an operator at once, without a further attempt', async () => {
    const order = await stuckInRelease(shop());
    await order.handle.executeUpdate(resolveCompensationUpdate, {
      args: [{ compensation: 'releaseStock', attempt: 1, action: 'skip' }],
    });
    const view = await order.result();

    expect(releaseIn(view)).toMatchObject({ status: 'skipped' });
    expect(releaseIn(view)).not.toHaveProperty('nextTryAt');
    expect(order.attempts('releaseStock')).toEqual(['failed']);
  });

  test('has a history that replays after the retries succeed', async () => {
    const order = await stuckInRelease(shop(), { times: 2 });
    await order.result();
    const history = await order.handle.fetchHistory();

    await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, history);
  });
});
