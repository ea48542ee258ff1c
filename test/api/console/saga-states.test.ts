import { expect, test } from 'vitest';
import type { KnownOrder } from '../../../src/api/orders/known.js';
import { sagaStepsOf } from '../../../src/api/console/orders/saga-states.js';
import type { OrderResource } from '../../../src/schemas/order.js';

const at = '2026-03-01T09:30:00.000Z';
const total = { value: 1_250, currency: 'EUR' } as const;

const completed = (...names: string[]): OrderResource['steps'] =>
  names.map((name) => ({ name, status: 'completed', startedAt: at, endedAt: at }));

const compensated = (
  statuses: Record<string, OrderResource['compensations'][number]['status']>,
): OrderResource['compensations'] =>
  Object.entries(statuses).map(([name, status]) => ({ name, status, startedAt: at, attempt: 1 }));

const makeOrder = (overrides: Partial<OrderResource>): OrderResource => ({
  orderId: 'order-1',
  status: 'processing',
  stage: 'reserving_stock',
  total,
  steps: [],
  compensations: [],
  workflow: { workflowId: 'order:order-1', runId: 'run' },
  ...overrides,
});

const SHIPPED = completed('reserveStock', 'chargePayment', 'requestShipment');
const shipment = (status: NonNullable<OrderResource['shipment']>['status']) => ({ shipmentId: 'ship-1', status });

const statesOf = (order: OrderResource | KnownOrder) =>
  Object.fromEntries(sagaStepsOf(order).map(({ name, state }) => [name, state]));
const compensationsOf = (order: OrderResource | KnownOrder) =>
  Object.fromEntries(
    sagaStepsOf(order).flatMap(({ compensation }) => (compensation ? [[compensation.name, compensation.state]] : [])),
  );

test('a step whose activity waits for a worker is waiting, and a step whose activity is retried is retrying', () => {
  const charging = {
    stage: 'charging_payment',
    steps: [...completed('reserveStock'), { name: 'chargePayment', status: 'started', startedAt: at }],
  } satisfies Partial<OrderResource>;

  expect(statesOf(makeOrder(charging)).chargePayment).toBe('running');
  const waiting = [{ step: 'chargePayment', taskQueue: 'payments', since: at }];
  expect(statesOf(makeOrder({ ...charging, waiting })).chargePayment).toBe('waiting');
  const retrying = [{ step: 'chargePayment', attempt: 3 }];
  expect(statesOf(makeOrder({ ...charging, retrying })).chargePayment).toBe('retrying');
});

test.each<[string, Partial<OrderResource>, { pickup: string; delivery: string }]>([
  ['awaits the pickup', { stage: 'awaiting_pickup' }, { pickup: 'waiting', delivery: 'not reached' }],
  [
    'has no pickup in time',
    { stage: 'awaiting_pickup', delivery: { dueAt: at, attempt: 1, overdueSince: at } },
    { pickup: 'overdue', delivery: 'not reached' },
  ],
  ['is in transit', { stage: 'in_transit', shipment: shipment('in_transit') }, { pickup: 'done', delivery: 'waiting' }],
  [
    'is delivered',
    { stage: 'done', status: 'completed', shipment: shipment('delivered') },
    { pickup: 'done', delivery: 'done' },
  ],
  [
    'lost its parcel',
    { stage: 'done', status: 'failed', shipment: shipment('lost') },
    { pickup: 'done', delivery: 'failed' },
  ],
  [
    'is cancelled before the pickup',
    { stage: 'done', status: 'cancelled', shipment: shipment('cancelled'), cancellation: { requestedAt: at } },
    { pickup: 'cancelled', delivery: 'not reached' },
  ],
  [
    'is written off in transit',
    { stage: 'done', status: 'failed', shipment: shipment('in_transit') },
    { pickup: 'done', delivery: 'failed' },
  ],
  [
    'is in transit because a cancellation came too late',
    { stage: 'in_transit', shipment: shipment('in_transit'), cancellation: { requestedAt: at, rejected: true } },
    { pickup: 'done', delivery: 'waiting' },
  ],
])('the picture of a shipped order that %s shows its pickup and delivery', (_name, overrides, expected) => {
  expect(statesOf(makeOrder({ steps: SHIPPED, ...overrides }))).toMatchObject(expected);
});

test('the compensation of a started step is ready until the order ends, and then not needed', () => {
  const open = { stage: 'charging_payment', steps: completed('reserveStock') } as const;
  expect(compensationsOf(makeOrder(open))).toEqual({
    releaseStock: 'ready',
    refundPayment: 'not needed',
    cancelShipment: 'not needed',
  });
  expect(compensationsOf(makeOrder({ stage: 'done', status: 'completed', steps: SHIPPED }))).toEqual({
    releaseStock: 'not needed',
    refundPayment: 'not needed',
    cancelShipment: 'not needed',
  });
});

test('during a rollback, the next compensation and the compensations that wait for it say so', () => {
  const queueOf = (overrides: Partial<OrderResource>) =>
    Object.fromEntries(
      sagaStepsOf(makeOrder({ steps: SHIPPED, ...overrides })).flatMap(({ compensation }) =>
        compensation
          ? [[compensation.name, [compensation.state, compensation.runsAfter].filter(Boolean).join(' ')]]
          : [],
      ),
    );
  const cancellation = { requestedAt: at };
  expect(queueOf({ stage: 'awaiting_pickup', cancellation })).toEqual({
    cancelShipment: 'next',
    refundPayment: 'queued cancelShipment',
    releaseStock: 'queued refundPayment',
  });
  const refunding = compensated({ cancelShipment: 'completed', refundPayment: 'started' });
  expect(queueOf({ stage: 'compensating', compensations: refunding })).toEqual({
    cancelShipment: 'completed',
    refundPayment: 'running',
    releaseStock: 'queued refundPayment',
  });
  // A stuck refund does not hold back the release of the stock, but a stuck recall of the shipment does.
  const stuckRefund = compensated({ cancelShipment: 'completed', refundPayment: 'stuck' });
  expect(queueOf({ stage: 'compensating', compensations: stuckRefund }).releaseStock).toBe('next');
  const stuckRecall = compensated({ cancelShipment: 'stuck' });
  expect(queueOf({ stage: 'compensating', compensations: stuckRecall }).refundPayment).toBe('queued cancelShipment');
  // After a cancellation that came too late, the order continues.
  expect(queueOf({ stage: 'in_transit', cancellation: { ...cancellation, rejected: true } }).releaseStock).toBe(
    'ready',
  );
});

test('each compensation that has run shows its state', () => {
  const compensations = compensated({ cancelShipment: 'rejected', refundPayment: 'stuck', releaseStock: 'skipped' });
  expect(compensationsOf(makeOrder({ stage: 'compensating', steps: SHIPPED, compensations }))).toEqual({
    cancelShipment: 'rejected',
    refundPayment: 'stuck',
    releaseStock: 'skipped',
  });
  const running = compensated({ refundPayment: 'started' });
  const retrying = [{ step: 'refundPayment', attempt: 2 }];
  const refunding = makeOrder({ stage: 'compensating', steps: SHIPPED, compensations: running });
  expect(compensationsOf(refunding).refundPayment).toBe('running');
  expect(compensationsOf({ ...refunding, retrying }).refundPayment).toBe('retrying');
});

test('the picture has an approval only if the order needs one, and a free order needs no charge', () => {
  const approval = { approvalId: 'a', status: 'pending' } as const;
  const waiting = [...completed('reserveStock'), { name: 'approval', status: 'started', startedAt: at } as const];
  expect(statesOf(makeOrder({ approval, stage: 'awaiting_approval', steps: waiting })).approval).toBe('waiting');
  const free = statesOf(makeOrder({ stage: 'awaiting_pickup', steps: completed('reserveStock', 'requestShipment') }));
  expect(free).not.toHaveProperty('approval');
  expect(free.chargePayment).toBe('not needed');
});

test('without an answer of a worker, the picture shows the steps before the last recorded stage, and the rest as unknown', () => {
  const known: KnownOrder = { orderId: 'order-1', status: 'processing', placedAt: at };
  expect(statesOf({ ...known, stage: 'reserving_stock' })).toEqual({
    reserveStock: 'waiting',
    chargePayment: 'not reached',
    requestShipment: 'not reached',
    pickup: 'not reached',
    delivery: 'not reached',
  });
  expect(statesOf({ ...known, stage: 'requesting_shipment', lines: [] })).toEqual({
    reserveStock: 'done',
    chargePayment: 'done',
    requestShipment: 'unknown',
    pickup: 'unknown',
    delivery: 'unknown',
  });
  const waiting = [{ step: 'chargePayment', since: at }];
  expect(statesOf({ ...known, stage: 'reserving_stock', lines: [], waiting }).chargePayment).toBe('waiting');
  expect(Object.values(statesOf(known))).toEqual(Array(5).fill('unknown'));
});

test('after a termination, the state of what had started is unknown until the order is rolled back', () => {
  const terminated = makeOrder({
    status: 'failed',
    stage: 'done',
    reason: { type: 'Terminated', message: 'the workflow was terminated' },
    steps: [...completed('reserveStock'), { name: 'approval', status: 'started', startedAt: at }],
    approval: { approvalId: 'order.order-1', status: 'pending' },
  });
  expect(statesOf(terminated)).toMatchObject({ reserveStock: 'done', approval: 'unknown' });
  expect(compensationsOf(terminated)).toMatchObject({ releaseStock: 'unknown' });
  expect(compensationsOf({ ...terminated, rolledBackAt: at })).toMatchObject({ releaseStock: 'completed' });
});
