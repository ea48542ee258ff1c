import { Worker } from '@temporalio/worker';
import { expect, inject, test } from 'vitest';
import type { OrderView } from '../../../../src/schemas/order.js';
import { resolveCompensationUpdate } from '../../../../src/workflows/order/contract.js';
import { stuckRetryDelaySeconds } from '../../../../src/workflows/order/timeline.js';
import { waitUntil } from '../../../support/processes.js';
import {
  newOrderId,
  describeWithOrderShop,
  type OrderShop,
  type PlacedOrder,
  type PlaceOrderOptions,
} from '../../../support/shop/order-shop.js';

const HOUR_MS = 3_600_000;

/** Places an order whose card is declined and whose stock release fails `times` times. */
async function placeOrderStuckInRelease(
  shop: OrderShop,
  { times = 1, ...options }: PlaceOrderOptions & { times?: number } = {},
) {
  const orderId = newOrderId();
  shop.activities.failBeforeEffect('releaseStock', orderId, { times });
  const order = await shop.placeOrder({ orderId, token: 'tok_declined', ...options });
  await order.waitForView(({ status }) => status === 'compensation_stuck', 'stuck');
  return order;
}

const stockReleaseIn = ({ compensations }: OrderView) => compensations.find(({ name }) => name === 'releaseStock');

/** Waits for the given number of failures. @returns the time of the next attempt, in milliseconds since the epoch. */
async function nextRetryTime(order: PlacedOrder, failures: number): Promise<number> {
  const countFailedReleases = () =>
    order.attemptOutcomes('releaseStock').filter((end) => end === 'failed').length >= failures || undefined;
  await waitUntil(countFailedReleases, { description: `${failures} failures`, timeoutMs: 20_000 });
  const view = await order.waitForView(({ status }) => status === 'compensation_stuck', 'stuck again');
  return Date.parse(stockReleaseIn(view)!.nextAttemptAt!);
}

test('stuckRetryDelaySeconds doubles from an hour to a day, and is undefined after a year of attempts', () => {
  const hours = [1, 2, 3, 4, 5, 6, 7, 365].map((attempt) => stuckRetryDelaySeconds(attempt)! / 3600);

  expect(hours).toEqual([1, 2, 4, 8, 16, 24, 24, 24]);
  expect(stuckRetryDelaySeconds(366)).toBeUndefined();
});

describeWithOrderShop('a compensation that is stuck', (shop) => {
  test('retries a stuck compensation after an hour without an operator, and rolls the order back', async () => {
    const order = await placeOrderStuckInRelease(shop());
    const stuck = stockReleaseIn(await order.view())!;
    const view = await order.result();
    const healed = stockReleaseIn(view)!;

    expect(stuck).toMatchObject({ status: 'stuck', reason: { type: 'InjectedFailure' } });
    const hours = (Date.parse(stuck.nextAttemptAt!) - Date.parse(stuck.startedAt)) / HOUR_MS;
    expect(hours).toBeCloseTo(1, 1);
    expect(view).toMatchObject({ status: 'rejected', reason: { type: 'CardDeclined' } });
    expect(healed).toMatchObject({ status: 'completed' });
    expect(healed).not.toHaveProperty('nextAttemptAt');
    expect(Date.parse(healed.endedAt!)).toBeGreaterThanOrEqual(Date.parse(stuck.nextAttemptAt!));
    expect(order.attemptOutcomes('releaseStock')).toEqual(['failed', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back' });
  });

  test('doubles the retry delay of a stuck compensation after a second failure', async () => {
    const order = await placeOrderStuckInRelease(shop(), { times: 2 });
    const first = await nextRetryTime(order, 1);
    await shop().skipTime('61 minutes');
    const second = await nextRetryTime(order, 2);
    const view = await order.view();
    await order.result();

    expect(view).toMatchObject({ status: 'compensation_stuck', stage: 'compensating' });
    expect((second - first) / HOUR_MS).toBeCloseTo(2, 1);
    expect(order.attemptOutcomes('releaseStock')).toEqual(['failed', 'failed', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back' });
  });

  test('an operator can skip a stuck compensation at once, without another attempt', async () => {
    const order = await placeOrderStuckInRelease(shop());
    await order.handle.executeUpdate(resolveCompensationUpdate, {
      args: [{ compensation: 'releaseStock', attempt: 1, action: 'skip' }],
    });
    const view = await order.result();

    expect(stockReleaseIn(view)).toMatchObject({ status: 'skipped' });
    expect(stockReleaseIn(view)).not.toHaveProperty('nextAttemptAt');
    expect(order.attemptOutcomes('releaseStock')).toEqual(['failed']);
  });

  test('replays the history of an order whose stuck compensation was retried', async () => {
    const order = await placeOrderStuckInRelease(shop(), { times: 2 });
    await order.result();
    const history = await order.handle.fetchHistory();

    await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, history);
  });
});
