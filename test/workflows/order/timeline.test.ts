import { describe, expect, test } from 'vitest';
import type { OrderView } from '../../../src/schemas/order.js';
import { describeOrder } from '../../../src/workflows/order/details.js';
import { Timeline } from '../../../src/workflows/order/timeline.js';

type Step = OrderView['steps'][number];

function makeTimeline() {
  const entries: Step[] = [];
  const timeline = new Timeline<Step>(entries, (name, startedAt) => ({ name, status: 'started', startedAt }));
  return { entries, timeline };
}

function makeView(overrides: Partial<OrderView> = {}): OrderView {
  return { orderId: 'A1', status: 'processing', stage: 'charging_payment', steps: [], compensations: [], ...overrides };
}

const startedAt = '2026-11-23T10:00:00.000Z';

describe('Timeline', () => {
  test('the timeline has one entry per step, with the start and the end of the step', () => {
    const { entries, timeline } = makeTimeline();
    timeline.start('reserveStock');
    timeline.end('reserveStock', 'completed');

    expect(entries).toEqual([
      { name: 'reserveStock', status: 'completed', startedAt: expect.any(String), endedAt: expect.any(String) },
    ]);
  });

  test('the timeline entry of a failed step has the reason of the failure', () => {
    const { entries, timeline } = makeTimeline();
    timeline.start('chargePayment');
    timeline.end('chargePayment', 'failed', { type: 'CardDeclined', message: 'no' });

    expect(entries).toMatchObject([{ status: 'failed', reason: { type: 'CardDeclined', message: 'no' } }]);
  });

  test('a step that starts again keeps its timeline entry and its first start time', () => {
    const { entries, timeline } = makeTimeline();
    const { startedAt: first } = timeline.start('refundPayment');
    timeline.end('refundPayment', 'failed', { type: 'X', message: 'no' });
    timeline.start('refundPayment');

    expect(entries).toEqual([{ name: 'refundPayment', status: 'started', startedAt: first }]);
  });

  test('the timeline ignores the end of a step that never started', () => {
    const { entries, timeline } = makeTimeline();
    timeline.end('refundPayment', 'completed');

    expect(entries).toEqual([]);
  });
});

describe('describeOrder', () => {
  test('describeOrder shows the stage of an open order and its steps as a Markdown list', () => {
    const view = makeView({ steps: [{ name: 'reserveStock', status: 'completed', startedAt }] });

    expect(describeOrder(view)).toBe('**processing**, charging_payment\n\nSteps:\n\n- reserveStock: completed');
  });

  test('describeOrder shows why an order was rejected', () => {
    const view = makeView({
      status: 'rejected',
      stage: 'done',
      reason: { type: 'OutOfStock', message: 'MUG: 2 wanted' },
    });

    expect(describeOrder(view)).toBe('**rejected**: OutOfStock, MUG: 2 wanted');
  });

  test('describeOrder starts with the decision that a stuck compensation needs from an operator', () => {
    const reason = { type: 'X', message: 'no route' };
    const view = makeView({
      status: 'compensation_stuck',
      stage: 'compensating',
      steps: [{ name: 'reserveStock', status: 'completed', startedAt }],
      compensations: [
        { name: 'cancelShipment', status: 'completed', startedAt, attempt: 1 },
        { name: 'refundPayment', status: 'stuck', startedAt, attempt: 2, reason, nextAttemptAt: '11:00' },
      ],
    });

    expect(describeOrder(view)).toBe(
      [
        '**compensation_stuck**, compensating',
        '',
        'Needs an operator:',
        '',
        '- refundPayment is stuck after attempt 2: no route. Retry or skip it; next retry at 11:00',
        '',
        'Steps:',
        '',
        '- reserveStock: completed',
        '',
        'Compensations:',
        '',
        '- cancelShipment: completed',
        '- refundPayment: stuck',
      ].join('\n'),
    );
  });

  test('describeOrder shows that an overdue delivery needs an operator', () => {
    const view = makeView({
      status: 'delivery_overdue',
      stage: 'in_transit',
      delivery: { dueAt: startedAt, attempt: 1, overdueSince: startedAt },
    });

    expect(describeOrder(view)).toContain(
      `Needs an operator:\n\n- The delivery is overdue since ${startedAt} (attempt 1)`,
    );
  });
});
