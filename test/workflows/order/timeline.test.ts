import { describe, expect, test } from 'vitest';
import type { OrderView, StepStatus, TimelineEntry } from '../../../src/schemas/order.js';
import { describeOrder, Timeline } from '../../../src/workflows/order/timeline.js';

function aTimeline() {
  const entries: TimelineEntry<StepStatus>[] = [];
  let minute = 0;
  const timeline = new Timeline<StepStatus>(entries, () => `10:0${minute++}`);
  return { entries, timeline };
}

function aView(overrides: Partial<OrderView> = {}): OrderView {
  return { orderId: 'A1', status: 'processing', stage: 'charging_payment', steps: [], compensations: [], ...overrides };
}

const startedAt = '2026-11-23T10:00:00.000Z';

describe('Timeline', () => {
  test('when a step starts and ends, then its one entry has both times', () => {
    const { entries, timeline } = aTimeline();

    timeline.start('reserveStock');
    timeline.end('reserveStock', 'completed');

    expect(entries).toEqual([{ name: 'reserveStock', status: 'completed', startedAt: '10:00', endedAt: '10:01' }]);
  });

  test('when a step ends badly, then the reason is kept', () => {
    const { entries, timeline } = aTimeline();

    timeline.start('chargePayment');
    timeline.end('chargePayment', 'failed', { type: 'CardDeclined', message: 'no' });

    expect(entries).toMatchObject([{ status: 'failed', reason: { type: 'CardDeclined', message: 'no' } }]);
  });

  test('when an entry is marked, then it has no end yet', () => {
    const { entries, timeline } = aTimeline();

    timeline.start('refundPayment');
    timeline.mark('refundPayment', 'failed');

    expect(entries).toEqual([{ name: 'refundPayment', status: 'failed', startedAt: '10:00' }]);
  });

  test('when a name starts again, then it keeps its one entry and its first start', () => {
    const { entries, timeline } = aTimeline();

    timeline.start('refundPayment');
    timeline.mark('refundPayment', 'failed');
    timeline.start('refundPayment');

    expect(entries).toEqual([{ name: 'refundPayment', status: 'started', startedAt: '10:00' }]);
  });

  test('when an entry is to start again by itself, then it says when, until it does or is decided', () => {
    const { entries, timeline } = aTimeline();
    const isTold = () => 'nextTryAt' in entries[0]!;
    const park = () => timeline.mark('refundPayment', 'failed', undefined, '11:00');

    timeline.start('refundPayment');
    park();
    const parked = isTold();
    timeline.start('refundPayment');
    const again = isTold();
    park();
    timeline.end('refundPayment', 'completed');

    expect([parked, again, isTold()]).toEqual([true, false, false]);
  });

  test('when a name never started, then nothing is added', () => {
    const { entries, timeline } = aTimeline();

    timeline.mark('refundPayment', 'failed');
    timeline.end('refundPayment', 'completed');

    expect(entries).toEqual([]);
  });
});

describe('describeOrder', () => {
  test('when the order is open, then it says the stage and the steps', () => {
    const view = aView({ steps: [{ name: 'reserveStock', status: 'completed', startedAt }] });

    expect(describeOrder(view)).toBe('**processing**, charging_payment\n\n- reserveStock: completed');
  });

  test('when the order has ended, then it says why', () => {
    const view = aView({ status: 'rejected', stage: 'done', reason: { type: 'OutOfStock', message: 'MUG: 2 wanted' } });

    expect(describeOrder(view)).toBe('**rejected**: OutOfStock, MUG: 2 wanted\n');
  });

  test('when a compensation is stuck, then it says what an operator can do', () => {
    const view = aView({
      status: 'compensation_stuck',
      stage: 'compensating',
      compensations: [
        { name: 'cancelShipment', status: 'completed', startedAt },
        { name: 'refundPayment', status: 'stuck', startedAt, reason: { type: 'X', message: 'no route' } },
      ],
    });

    expect(describeOrder(view)).toContain(
      'Compensations:\n- cancelShipment: completed\n- refundPayment: **stuck**, no route; retry or skip it',
    );
  });

  test('when a stuck compensation is tried again by itself, then it says when', () => {
    const reason = { type: 'X', message: 'no route' };
    const view = aView({
      compensations: [{ name: 'refundPayment', status: 'stuck', startedAt, reason, nextTryAt: '11:00' }],
    });

    expect(describeOrder(view)).toContain('**stuck**, no route; retry or skip it, or it is tried again at 11:00');
  });
});
