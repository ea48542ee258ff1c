import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderResource, OrderView } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { readBalance } from '../../support/shop/balance.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/workers/workers.js';

const MAX_EVENTS = 42;

describeOnDevServer('an order with a separate worker process', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let worker: WorkerProcess;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    api = await startApi(shop);
    worker = await startWorkerProcess(server, shop, { WORKER_TASK_QUEUES: 'orders,payments' });
  });
  afterAll(async () => {
    await worker?.stop();
    await api?.close();
    await shop?.close();
  });

  const handleOf = (orderId: string) => shop.client.workflow.getHandle(orderWorkflowId(orderId));

  async function startComposedShop() {
    const products = [await addProduct(shop.store), await addProduct(shop.store, { available: 3 })];
    const order = makeOrder({ lines: products.map(({ sku }, index) => ({ sku, quantity: index + 1 })) });
    // With one second between the reports, each report causes its own workflow task. This case writes the most events.
    shop.fakes.carrier.configure({ autoDeliver: true, pickupSeconds: 1, deliverySeconds: 2 }, order.orderId);
    return { order, products };
  }

  test('an order over HTTP completes with at most 42 events and one activity per step', async () => {
    const { order, products } = await startComposedShop();
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    // Waits with `result` and not with queries, so that the test adds no events to the history.
    const result = (await handleOf(order.orderId).result()) as OrderView;

    expect(result).toMatchObject({ orderId: order.orderId, status: 'completed', shipment: { status: 'delivered' } });
    expect(await readBalance(shop, { ...order, products, token: order.payment.token })).toMatchObject({
      verdict: 'sold',
      parcels: ['delivered'],
    });

    const events = await fetchEventSummaries(handleOf(order.orderId));
    const namesOf = (type: string) => events.filter((event) => event.type === type).map(({ name }) => name);
    console.log(`a completed order with two carrier callbacks: ${events.length} events`);
    expect(events.length).toBeLessThanOrEqual(MAX_EVENTS);
    expect(namesOf('WorkflowExecutionSignaled')).toEqual(['shipmentReported', 'shipmentReported']);
    expect(namesOf('ActivityTaskScheduled')).toEqual([
      'reserveStock',
      'chargePayment',
      'requestShipment',
      'closeOrder',
    ]);
    expect(namesOf('MarkerRecorded')).toEqual([]);

    const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject(result);
  });

  test('a worker that stops finishes its running call, and another worker continues the order', async () => {
    const { order, products } = await startComposedShop();
    const charge = shop.fakes.hold('charge', order.orderId);
    await api.post('/v1/orders', order);
    await charge.arrived;

    const stopped = worker.stop();
    const isStopping = () => worker.lastOutput().includes('STOPPING') || undefined;
    await waitUntil(isStopping, { description: 'the STOPPING state of the worker', timeoutMs: 10_000 });
    await charge.release();
    expect(await stopped).toEqual({ code: 0, signal: null });

    worker = await startWorkerProcess(server, shop, { WORKER_TASK_QUEUES: 'orders,payments' });
    await handleOf(order.orderId).result();
    const { requests } = shop.fakes.records(order.orderId);
    expect(requests.filter(({ path }) => path === '/payments/charges')).toHaveLength(1);
    expect(await readBalance(shop, { ...order, products, token: order.payment.token })).toMatchObject({
      verdict: 'sold',
    });
  });
});
