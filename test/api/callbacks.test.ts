import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, ShipmentReport } from '../../src/schemas/order.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { signedReport, startApi, type Api, type RequestOptions } from '../support/api.js';
import { REPLACED_WEBHOOK_SECRET } from '../support/activities.js';
import { describeOnDevServer, startDevServer } from '../support/dev-server.js';
import { anOrder, openShop, type Shop } from '../support/shop.js';

const PATH = '/v1/callbacks/shipments';
const FIVE_MINUTES_MS = 5 * 60_000;

// No worker runs here: a report counts as accepted when Temporal has stored it.
describeOnDevServer('POST /v1/callbacks/shipments', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await openShop(await startDevServer(), { withWorker: false });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function placed(): Promise<OrderInput> {
    const order = anOrder({ lines: [{ sku: 'MUG-BLUE', quantity: 1 }] });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    return order;
  }

  const aReport = (orderId: string, overrides: Partial<ShipmentReport> = {}): ShipmentReport => ({
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

  test('when a report is signed, then 202, and it is in the history though no worker runs', async () => {
    const order = await placed();
    const report = aReport(order.orderId);

    const { status, body } = await api.request('POST', PATH, signedReport(report));

    expect(status).toBe(202);
    expect(body).toEqual({ status: 'accepted' });
    expect(await signalsOf(order)).toEqual([['shipmentReported', report]]);
  });

  test('when a secret is being replaced, then reports with the old one are accepted as well', async () => {
    const order = await placed();
    const report = signedReport(aReport(order.orderId), { secret: REPLACED_WEBHOOK_SECRET });
    expect((await api.request('POST', PATH, report)).status).toBe(202);
    expect(await signalsOf(order)).toHaveLength(1);
  });

  test('when the same message comes again, then it leaves no trace', async () => {
    const order = await placed();
    const report = signedReport(aReport(order.orderId), { id: 'msg_again' });
    for (let count = 0; count < 3; count += 1) expect((await api.request('POST', PATH, report)).status).toBe(202);
    expect(await signalsOf(order)).toHaveLength(1);
    const other = signedReport(aReport(order.orderId), { id: 'msg_other' });
    await api.request('POST', PATH, other);
    expect(await signalsOf(order)).toHaveLength(2);
  });

  test('when the played carrier reports, then its signature holds', async () => {
    const order = await placed();
    // The carrier only reports what it was asked to carry.
    const headers = { 'idempotency-key': `order:${order.orderId}:shipment`, 'content-type': 'application/json' };
    await shop.outside.app.inject({
      method: 'POST',
      url: '/carrier/shipments',
      headers,
      payload: { orderId: order.orderId, lines: order.lines },
    });

    expect(await shop.outside.carrier.reportNow(order.orderId, 'in_transit')).toEqual({ delivered: true, status: 202 });
    expect(await signalsOf(order)).toHaveLength(1);
  });

  const good = (orderId: string) => signedReport(aReport(orderId));
  test.each<[string, (orderId: string) => RequestOptions]>([
    ['is not signed', (orderId) => ({ json: aReport(orderId) })],
    [
      'is signed with another secret',
      (orderId) =>
        signedReport(aReport(orderId), { secret: `whsec_${Buffer.from('x'.repeat(32)).toString('base64')}` }),
    ],
    [
      'was changed after it was signed',
      (orderId) => ({ ...good(orderId), text: JSON.stringify(aReport(orderId, { status: 'delivered' })) }),
    ],
    [
      'was signed under another message id',
      (orderId) => ({ ...good(orderId), headers: { ...good(orderId).headers, 'webhook-id': 'msg_other' } }),
    ],
    [
      'has a signature that is none',
      (orderId) => ({ ...good(orderId), headers: { ...good(orderId).headers, 'webhook-signature': 'v1,AAAA' } }),
    ],
    [
      'has a timestamp that is none',
      (orderId) => ({ ...good(orderId), headers: { ...good(orderId).headers, 'webhook-timestamp': 'now' } }),
    ],
    [
      'is older than five minutes',
      (orderId) => signedReport(aReport(orderId), { at: new Date(Date.now() - FIVE_MINUTES_MS - 5_000) }),
    ],
    [
      'comes from the future',
      (orderId) => signedReport(aReport(orderId), { at: new Date(Date.now() + FIVE_MINUTES_MS + 5_000) }),
    ],
  ])('when a report %s, then 401 and nothing is told to the order', async (_what, make) => {
    const order = await placed();

    const { status, headers, body } = await api.request('POST', PATH, make(order.orderId));

    expect(status).toBe(401);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(body).toMatchObject({ type: '/problems/unauthorized', status: 401 });
    expect(await signalsOf(order)).toEqual([]);
  });

  test('when a report is about an order that nobody knows, then 404', async () => {
    const { status, body } = await api.request('POST', PATH, signedReport(aReport(randomUUID())));

    expect(status).toBe(404);
    expect(body).toMatchObject({ type: '/problems/not-found' });
  });

  test.each<[string, (orderId: string) => ShipmentReport | string, string[]]>([
    ['is not JSON', () => '{"orderId":', ['']],
    ['is JSON null', () => 'null', ['']],
    ['has no shipment id', (orderId) => JSON.stringify({ orderId, status: 'lost' }), ['/shipmentId']],
    [
      'has a status that does not exist',
      (orderId) => JSON.stringify({ ...aReport(orderId), status: 'eaten' }),
      ['/status'],
    ],
    ['has an id that is none', () => aReport("x' or 'y"), ['/orderId']],
    ['has an unknown field', (orderId) => JSON.stringify({ ...aReport(orderId), paid: true }), ['/paid']],
  ])('when a signed report %s, then 400 names what is wrong', async (_what, make, pointers) => {
    const order = await placed();

    const { status, headers, body } = await api.request('POST', PATH, signedReport(make(order.orderId)));

    expect(status).toBe(400);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(body.errors?.map(({ pointer }) => pointer)).toEqual(pointers);
    expect(await signalsOf(order)).toEqual([]);
  });

  test('when the order is closed, then 200 ends the retries and nothing happens', async () => {
    const order = await placed();
    await handleOf(order).terminate();

    const { status, body } = await api.request('POST', PATH, signedReport(aReport(order.orderId)));

    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'ignored' });
    expect(await signalsOf(order)).toEqual([]);
  });

  test('when the content type is not JSON, then 415', async () => {
    const order = await placed();
    const { text, headers } = good(order.orderId);

    const { status } = await api.request('POST', PATH, {
      ...(text && { text }),
      headers: { ...headers, 'content-type': 'text/plain' },
    });

    expect(status).toBe(415);
    expect(await signalsOf(order)).toEqual([]);
  });
});
