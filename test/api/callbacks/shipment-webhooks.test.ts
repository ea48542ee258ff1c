import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import type { OrderInput, OrderStatus, ShipmentReport } from '../../../src/schemas/order.js';
import type { UnhandledReport } from '../../../src/schemas/shipment-reports.js';
import { ORDER_TASK_QUEUE, orderStatusAttribute, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { signShipmentReport, startApi, type Api, type RequestOptions } from '../../support/api/api.js';
import { PREVIOUS_WEBHOOK_SECRET } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, startShop, type Shop } from '../../support/shop/shop.js';

const PATH = '/v1/callbacks/shipments';
const FIVE_MINUTES_MS = 5 * 60_000;

// No worker runs in these tests: the API accepts a report as soon as Temporal has stored the signal.
describeOnDevServer('POST /v1/callbacks/shipments', () => {
  let shop: Shop;
  let api: Api;
  const registry = new Registry();

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { withWorker: false });
    api = await startApi({ ...shop, metrics: createHttpMetrics(registry) });
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function placeShippedOrder(): Promise<OrderInput> {
    const order = makeOrder({ lines: [{ sku: 'MUG-BLUE', quantity: 1 }] });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    return order;
  }

  /** Starts an order workflow with this status as its search attribute, and terminates the workflow. */
  async function placeOrderThatEndsAs(outcome: OrderStatus): Promise<OrderInput> {
    const order = makeOrder({ lines: [{ sku: 'MUG-BLUE', quantity: 1 }] });
    const handle = await shop.client.workflow.start('order', {
      workflowId: orderWorkflowId(order.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
      typedSearchAttributes: [{ key: orderStatusAttribute, value: outcome }],
    });
    await handle.terminate();
    return order;
  }

  const makeReport = (orderId: string, overrides: Partial<ShipmentReport> = {}): ShipmentReport => ({
    orderId,
    shipmentId: 'sh_1',
    status: 'in_transit',
    ...overrides,
  });

  const handleOf = ({ orderId }: { orderId: string }) => shop.client.workflow.getHandle(orderWorkflowId(orderId));

  async function signalsOf(order: { orderId: string }): Promise<unknown[]> {
    const { events } = await handleOf(order).fetchHistory();
    return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) =>
      signal ? [[signal.signalName, JSON.parse(Buffer.from(signal.input?.payloads?.[0]?.data ?? []).toString())]] : [],
    );
  }

  test('accepts a signed shipment report with 202 and signals the order, even without a worker', async () => {
    const order = await placeShippedOrder();
    const report = makeReport(order.orderId);

    const { status, body } = await api.request('POST', PATH, signShipmentReport(report));

    expect(status).toBe(202);
    expect(body).toEqual({ status: 'accepted' });
    expect(await signalsOf(order)).toEqual([['shipmentReported', report]]);
  });

  test('accepts shipment reports that are signed with the previous secret during a rotation', async () => {
    const order = await placeShippedOrder();
    const report = signShipmentReport(makeReport(order.orderId), { secret: PREVIOUS_WEBHOOK_SECRET });
    expect((await api.request('POST', PATH, report)).status).toBe(202);
    expect(await signalsOf(order)).toHaveLength(1);
  });

  test('signals the order once when the carrier repeats a shipment report', async () => {
    const order = await placeShippedOrder();
    const report = signShipmentReport(makeReport(order.orderId), { webhookId: 'msg_again' });
    for (let count = 0; count < 3; count += 1) expect((await api.request('POST', PATH, report)).status).toBe(202);
    expect(await signalsOf(order)).toHaveLength(1);
    const other = signShipmentReport(makeReport(order.orderId), { webhookId: 'msg_other' });
    await api.request('POST', PATH, other);
    expect(await signalsOf(order)).toHaveLength(2);
  });

  test('accepts the signature of a report from the fake carrier', async () => {
    const order = await placeShippedOrder();
    // The fake carrier reports only parcels whose shipment was requested.
    const headers = { 'idempotency-key': `order:${order.orderId}:shipment`, 'content-type': 'application/json' };
    await shop.fakes.app.inject({
      method: 'POST',
      url: '/carrier/shipments',
      headers,
      payload: { orderId: order.orderId, lines: order.lines },
    });

    expect(await shop.fakes.carrier.reportNow(order.orderId, 'in_transit')).toEqual({ delivered: true, status: 202 });
    expect(await signalsOf(order)).toHaveLength(1);
  });

  const validReport = (orderId: string) => signShipmentReport(makeReport(orderId));
  test.each<[string, (orderId: string) => RequestOptions]>([
    ['is not signed', (orderId) => ({ json: makeReport(orderId) })],
    [
      'is signed with another secret',
      (orderId) =>
        signShipmentReport(makeReport(orderId), { secret: `whsec_${Buffer.from('x'.repeat(32)).toString('base64')}` }),
    ],
    [
      'was changed after it was signed',
      (orderId) => ({ ...validReport(orderId), text: JSON.stringify(makeReport(orderId, { status: 'delivered' })) }),
    ],
    [
      'was signed under another message id',
      (orderId) => ({
        ...validReport(orderId),
        headers: { ...validReport(orderId).headers, 'webhook-id': 'msg_other' },
      }),
    ],
    [
      'has an invalid signature',
      (orderId) => ({
        ...validReport(orderId),
        headers: { ...validReport(orderId).headers, 'webhook-signature': 'v1,AAAA' },
      }),
    ],
    [
      'has an invalid timestamp',
      (orderId) => ({
        ...validReport(orderId),
        headers: { ...validReport(orderId).headers, 'webhook-timestamp': 'now' },
      }),
    ],
    [
      'is older than five minutes',
      (orderId) =>
        signShipmentReport(makeReport(orderId), { timestamp: new Date(Date.now() - FIVE_MINUTES_MS - 5_000) }),
    ],
    [
      'has a timestamp in the future',
      (orderId) =>
        signShipmentReport(makeReport(orderId), { timestamp: new Date(Date.now() + FIVE_MINUTES_MS + 5_000) }),
    ],
  ])('returns 401 and does not signal the order for a shipment report that %s', async (_description, make) => {
    const order = await placeShippedOrder();

    const { status, headers, body } = await api.request('POST', PATH, make(order.orderId));

    expect(status).toBe(401);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(body).toMatchObject({ type: '/problems/unauthorized', status: 401 });
    expect(await signalsOf(order)).toEqual([]);
  });

  test('returns 404 for a shipment report about an unknown order', async () => {
    const { status, body } = await api.request('POST', PATH, signShipmentReport(makeReport(randomUUID())));

    expect(status).toBe(404);
    expect(body).toMatchObject({ type: '/problems/not-found' });
  });

  test.each<[string, (orderId: string) => ShipmentReport | string, string[]]>([
    ['is not JSON', () => '{"orderId":', ['']],
    ['is JSON null', () => 'null', ['']],
    ['has no shipment id', (orderId) => JSON.stringify({ orderId, status: 'lost' }), ['/shipmentId']],
    ['has a status that is not text', (orderId) => JSON.stringify({ ...makeReport(orderId), status: 7 }), ['/status']],
    ['has an invalid id', () => makeReport("x' or 'y"), ['/orderId']],
  ])(
    'returns 400 with the invalid fields for a signed shipment report that %s',
    async (_description, make, pointers) => {
      const order = await placeShippedOrder();

      const { status, headers, body } = await api.request('POST', PATH, signShipmentReport(make(order.orderId)));

      expect(status).toBe(400);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body.errors?.map(({ pointer }) => pointer)).toEqual(pointers);
      expect(await signalsOf(order)).toEqual([]);
    },
  );

  test.each(['"lost","status":"delivered"', '"lost","status":"lost"'])(
    'returns 400 for a signed shipment report with a repeated status: %s',
    async (statuses) => {
      const order = await placeShippedOrder();
      const text = `{"orderId":"${order.orderId}","shipmentId":"sh_1","status":${statuses}}`;

      const { status, body } = await api.request('POST', PATH, signShipmentReport(text));

      expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/status']]);
      expect(await signalsOf(order)).toEqual([]);
    },
  );

  test('ignores repeated names and large numbers in unknown fields of a signed shipment report', async () => {
    const order = await placeShippedOrder();
    const report = makeReport(order.orderId);
    const text = JSON.stringify(report).replace('{', '{"event":12345678901234567890,"depot":{"a":1,"a":2},');

    const { status } = await api.request('POST', PATH, signShipmentReport(text));

    expect(status).toBe(202);
    expect(await signalsOf(order)).toEqual([['shipmentReported', report]]);
  });

  test('ignores unknown fields of a signed shipment report', async () => {
    const order = await placeShippedOrder();
    const report = makeReport(order.orderId);

    const text = JSON.stringify({ ...report, depot: 'B12', parcel: { weight: 3 } });
    const { status, body } = await api.request('POST', PATH, signShipmentReport(text));

    expect([status, body]).toEqual([202, { status: 'accepted' }]);
    expect(await signalsOf(order)).toEqual([['shipmentReported', report]]);
  });

  test('signals the order when the carrier reports a cancelled parcel', async () => {
    const order = await placeShippedOrder();
    const report = makeReport(order.orderId, { status: 'cancelled' });

    expect((await api.request('POST', PATH, signShipmentReport(report))).status).toBe(202);
    expect(await signalsOf(order)).toEqual([['shipmentReported', report]]);
  });

  describe('unhandled shipment reports', () => {
    const findUnhandledReports = async (orderId: string): Promise<UnhandledReport[]> => {
      const { body } = await api.get<{ items: UnhandledReport[] }>('/v1/shipment-reports?limit=200');
      return body.items.filter((report) => report.orderId === orderId);
    };
    const countReports = async (reason: string): Promise<number> => {
      const text = await registry.metrics();
      const line = text.split('\n').find((each) => each.includes(`callback="shipments",reason="${reason}"`));
      return Number(line?.split(' ').at(-1));
    };

    test('returns 200 for a shipment report with an unknown status, and records the report without signalling the order', async () => {
      const order = await placeShippedOrder();
      const before = await countReports('unknown_status');
      const report = { ...makeReport(order.orderId), status: 'out_for_delivery' };

      const { status, body } = await api.request(
        'POST',
        PATH,
        signShipmentReport(JSON.stringify(report), { webhookId: 'msg_odd' }),
      );

      expect([status, body]).toEqual([
        200,
        { status: 'ignored', detail: 'the status is unknown; the report was recorded' },
      ]);
      expect(await signalsOf(order)).toEqual([]);
      expect(await findUnhandledReports(order.orderId)).toEqual([
        { ...report, webhookId: 'msg_odd', reason: 'unknown_status', receivedAt: expect.any(String) },
      ]);
      expect(await countReports('unknown_status')).toBe(before + 1);
    });

    test.each<[ShipmentReport['status'], OrderStatus, UnhandledReport['reason']]>([
      ['in_transit', 'cancelled', 'contradicts_outcome'],
      ['delivered', 'failed', 'contradicts_outcome'],
      ['delivered', 'rejected', 'contradicts_outcome'],
      // A terminated order keeps its last status as its search attribute.
      ['delivered', 'processing', 'contradicts_outcome'],
      ['lost', 'completed', 'contradicts_outcome'],
      ['cancelled', 'completed', 'contradicts_outcome'],
      ['delivered', 'completed', 'order_closed'],
      ['accepted', 'cancelled', 'order_closed'],
      ['cancelled', 'cancelled', 'order_closed'],
      ['lost', 'failed', 'order_closed'],
    ])(
      'records the report "%s" about an order that ended as "%s" with the reason "%s"',
      async (status, outcome, reason) => {
        const order = await placeOrderThatEndsAs(outcome);
        const before = await countReports(reason);

        const response = await api.request('POST', PATH, signShipmentReport(makeReport(order.orderId, { status })));

        expect([response.status, response.body]).toMatchObject([200, { status: 'ignored' }]);
        expect(await signalsOf(order)).toEqual([]);
        expect(await findUnhandledReports(order.orderId)).toMatchObject([{ shipmentId: 'sh_1', status, reason }]);
        expect(await countReports(reason)).toBe(before + 1);
      },
    );

    test('records and counts a repeated unhandled report once', async () => {
      const order = await placeOrderThatEndsAs('cancelled');
      const before = await countReports('contradicts_outcome');
      const report = signShipmentReport(makeReport(order.orderId, { status: 'delivered' }), {
        webhookId: `msg_${order.orderId}`,
      });

      for (let count = 0; count < 3; count += 1) expect((await api.request('POST', PATH, report)).status).toBe(200);

      expect(await findUnhandledReports(order.orderId)).toHaveLength(1);
      expect(await countReports('contradicts_outcome')).toBe(before + 1);
    });

    test('lists unhandled reports newest first, page by page, and filters them by reason', async () => {
      const order = await placeShippedOrder();
      const statuses = Array.from({ length: 5 }, (_, index) => `odd_${index}`);
      for (const status of statuses)
        await api.request('POST', PATH, signShipmentReport(JSON.stringify({ ...makeReport(order.orderId), status })));

      const seen: string[] = [];
      const query = '/v1/shipment-reports?limit=2&reason=unknown_status';
      for (let cursor: string | undefined = ''; cursor !== undefined;) {
        const path: string = cursor ? `${query}&cursor=${cursor}` : query;
        const { body } = await api.get<{ items: UnhandledReport[]; nextCursor?: string }>(path);
        expect(body.items.every(({ reason }) => reason === 'unknown_status')).toBe(true);
        seen.push(...body.items.filter(({ orderId }) => orderId === order.orderId).map(({ status }) => status));
        cursor = body.nextCursor;
      }
      expect(seen).toEqual(statuses.toReversed());
      expect((await api.get('/v1/shipment-reports?reason=because')).status).toBe(400);
    });
  });

  test('rejects a webhook id of more than 255 characters with 400', async () => {
    const order = await placeShippedOrder();

    const { status, body } = await api.request(
      'POST',
      PATH,
      signShipmentReport(makeReport(order.orderId), { webhookId: 'm'.repeat(256) }),
    );

    expect([status, body.errors]).toEqual([
      400,
      [{ pointer: '/webhook-id', detail: 'must have at most 255 characters' }],
    ]);
  });

  test('rejects a shipment report whose content type is not JSON with 415', async () => {
    const order = await placeShippedOrder();
    const { text, headers } = validReport(order.orderId);

    const { status } = await api.request('POST', PATH, {
      ...(text && { text }),
      headers: { ...headers, 'content-type': 'text/plain' },
    });

    expect(status).toBe(415);
    expect(await signalsOf(order)).toEqual([]);
  });
});
