import { expect, test } from 'vitest';
import { orderFactsHtml } from '../../../src/api/console/orders/order-facts.js';
import { nowHtml } from '../../../src/api/console/orders/progress-text.js';
import type { OrderResource } from '../../../src/schemas/order.js';

const at = '2026-03-01T09:30:00.000Z';

const makeOrder = (overrides: Partial<OrderResource>): OrderResource => ({
  orderId: 'order-1',
  status: 'processing',
  stage: 'compensating',
  steps: [],
  compensations: [],
  workflow: { workflowId: 'order:order-1', runId: 'run' },
  ...overrides,
});

const textOf = (html: string) =>
  html
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();

const refund = (overrides: Partial<OrderResource['compensations'][number]>): Pick<OrderResource, 'compensations'> => ({
  compensations: [{ name: 'refundPayment', status: 'started', startedAt: at, attempt: 2, ...overrides }],
});

test('the progress counts the attempts of a compensation, and the calls of its current attempt', () => {
  const retrying = [{ step: 'refundPayment', attempt: 3, nextAttemptAt: at }];
  expect(textOf(nowHtml(makeOrder({ ...refund({}), retrying })))).toContain(
    'Refund payment is retried: attempt 2, call 3. The call starts at ',
  );
  const charging = [{ step: 'chargePayment', attempt: 3, nextAttemptAt: at }];
  expect(textOf(nowHtml(makeOrder({ retrying: charging })))).toContain(
    'Charge payment is retried: attempt 3. The attempt starts at ',
  );
});

test('a stuck compensation names the attempt that failed and the next attempt', () => {
  const stuck = makeOrder({ status: 'compensation_stuck', ...refund({ status: 'stuck', nextAttemptAt: at }) });
  expect(textOf(nowHtml(stuck))).toMatch(
    /“Refund payment” has stopped, because every call of attempt 2 failed\. Attempt 3 starts at .+ An operator can retry or skip it now\./,
  );
});

test('a cancelled order says once that it was cancelled, and that its payment was charged and refunded', () => {
  const message = 'the order was cancelled on request: Changed my mind';
  const order = makeOrder({
    status: 'cancelled',
    stage: 'done',
    reason: { type: 'Cancelled', message },
    cancellation: { requestedAt: at, reason: 'Changed my mind' },
    steps: [{ name: 'chargePayment', status: 'completed', startedAt: at, endedAt: at }],
    ...refund({ status: 'completed' }),
  });
  expect(textOf(nowHtml(order))).toBe('The order was cancelled on request: Changed my mind.');
  const facts = textOf(orderFactsHtml(order));
  expect(facts).toContain('charged, then refunded');
  expect(facts).not.toContain('cancelled on request');

  const [charge] = order.steps;
  const interrupted = { ...order, steps: [{ ...charge!, status: 'cancelled' as const }] };
  expect(textOf(orderFactsHtml(interrupted))).toContain('refunded, if it was charged');
});

test('a rejected order gives the reason in one sentence', () => {
  const reason = { type: 'CardDeclined', message: 'The card was declined.' };
  const order = makeOrder({ status: 'rejected', stage: 'done', reason });
  expect(textOf(nowHtml(order))).toBe('The order is rejected: The card was declined.');
});
