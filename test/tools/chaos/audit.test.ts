import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Findings } from '../../../tools/chaos/audit/findings.js';
import { readHistories } from '../../../tools/chaos/audit/histories.js';
import { audit } from '../../../tools/chaos/audit/audit.js';
import type { AuditResult } from '../../../tools/chaos/audit/findings.js';
import type { AuditSources } from '../../../tools/chaos/audit/evidence.js';
import { EDGE_CASES } from '../../../tools/chaos/clients/edge-cases/edge-cases.js';
import { startLoadGenerator } from '../../../tools/chaos/clients/load-generator.js';
import { addLoadProducts, LARGE_PRODUCT } from '../../../tools/chaos/clients/products.js';
import type { LoggedOrder, ClientLog } from '../../../tools/chaos/client-log.js';
import { SeededRandom } from '../../../tools/chaos/random.js';
import type { OrderLine, OrderResource } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import {
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderIdOf,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { APPROVAL_WEBHOOK_SECRET } from '../../support/shop/test-activities.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { CARRIER_WEBHOOK_SECRET } from '../../support/fakes/running-fakes.js';
import { makeOrder, startShop, type Shop } from '../../support/shop/shop.js';

/** With this seed, the load generator soon creates all data that the tests need. */
const SEED = 472;

/** A kind of damage to the shop, and the violation that the audit must report. */
interface InjectedViolation {
  /** Damages the shop. @returns the id of the damaged workflow. */
  inject: () => Promise<string> | string;
  expectedViolation: RegExp;
}

// All tests share one load run, because it takes seconds. The shop is audited before and after the damage.
describeOnDevServer('the audit of a load run', () => {
  let shop: Shop;
  let api: Api;
  let books: AuditSources;
  let ledger: ClientLog;
  let untouched: AuditResult;
  let damaged: AuditResult;
  const done = new Map<string, string>();
  let parked: string;
  let overdue: string;

  /** Returns a different completed order of the load run on each call. */
  const completed = (() => {
    const given = new Set<string>();
    return async (): Promise<LoggedOrder & { orderId: string }> => {
      const ofEdgeCases = ledger.edgeCases.map(({ workflowId }) => workflowId);
      for (const order of ledger.orders) {
        const [orderId = ''] = order.responses;
        if (order.token !== 'tok_ok' || order.cancellation || given.has(orderId)) continue;
        if (ofEdgeCases.includes(orderWorkflowId(orderId))) continue;
        given.add(orderId);
        const { body } = await api.get<OrderResource>(`/v1/orders/${orderId}`);
        if (body.status === 'completed') return Object.assign(order, { orderId });
      }
      throw new Error('there is no completed order left');
    };
  })();

  /** Places an order outside the load generator and adds it to the client log. Its parcel is not delivered. */
  async function placeLoggedOrder(name: string): Promise<string> {
    shop.fakes.carrier.configure({ autoDeliver: false });
    const lines = [{ sku: ledger.products[0]!.sku, quantity: 1 }];
    const orderId = await placeOrder(name, lines);
    ledger.orders.push({
      key: name,
      outcome: 'accepted',
      responses: [orderId],
      customerId: name,
      lines,
      token: 'tok_ok',
    });
    await api.waitForOrderStage(orderId, 'awaiting_pickup');
    return orderId;
  }

  async function placeOrder(customerId: string, lines: LoggedOrder['lines']): Promise<string> {
    const order = { customerId, lines, payment: { token: 'tok_ok' } };
    const { status, body } = await api.post<{ orderId: string }>('/v1/orders', order);
    expect(status).toBe(202);
    return body.orderId;
  }

  /** Returns the order of an edge case. */
  function orderOf(name: string): { orderId: string; workflowId: string } {
    const { workflowId } = ledger.edgeCases.find((edgeCase) => edgeCase.name === name)!;
    return { orderId: orderIdOf(workflowId!), workflowId: workflowId! };
  }

  /** Calls the fake payment gateway directly. */
  async function callGateway(path: string, idempotencyKey: string, body: unknown): Promise<void> {
    const response = await fetch(`${shop.fakes.paymentsUrl}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(body),
    });
    expect(response.ok).toBe(true);
  }

  const cartEndingAs = (end: ClientLog['carts'][number]['end']) =>
    ledger.carts.find(
      (cart) => cart.end === end && cart.changes.some(({ outcome, kind }) => outcome === 'accepted' && kind === 'add'),
    )!;

  const damages: Record<string, InjectedViolation> = {
    'a reservation is deleted': {
      async inject() {
        const { orderId } = await completed();
        await shop.ownerStore.db.deleteFrom('orders').where('order_id', '=', orderId).execute();
        return orderWorkflowId(orderId);
      },
      expectedViolation: /does not balance \(stock, money, parcel\): back, kept, delivered/,
    },
    'stock is added twice': {
      async inject() {
        const [{ batchId, quantityBySku }] = ledger.batches as [ClientLog['batches'][number]];
        const [sku, more] = Object.entries(quantityBySku)[0]!;
        await shop.ownerStore.db
          .updateTable('products')
          .set(({ eb }) => ({ stock: eb('stock', '+', more) }))
          .where('sku', '=', sku)
          .execute();
        return batchWorkflowId(batchId);
      },
      expectedViolation: /added \d+ x LOAD-BATCH-1A to the stock, not \d+/,
    },
    'a customer is charged twice': {
      async inject() {
        const { orderId } = await completed();
        await callGateway('charges', 'another', { orderId, amount: { value: 1, currency: 'EUR' }, token: 'tok_ok' });
        return orderWorkflowId(orderId);
      },
      expectedViolation: /2 charges for one order/,
    },
    'an order is terminated': {
      async inject() {
        const workflowId = orderWorkflowId(await placeLoggedOrder('terminated'));
        await shop.client.workflow.getHandle(workflowId).terminate();
        return workflowId;
      },
      expectedViolation: /is terminated, which is not a valid end/,
    },
    'an order is still running': {
      async inject() {
        return orderWorkflowId(await placeLoggedOrder('waiting'));
      },
      expectedViolation: /is running, which is not a valid end/,
    },
    'an accepted order does not exist': {
      inject() {
        const lines = [{ sku: ledger.products[0]!.sku, quantity: 1 }];
        const order = { customerId: 'nobody', lines, token: 'tok_ok', key: 'no key', outcome: 'accepted' as const };
        ledger.orders.push({ ...order, responses: ['no-order'] });
        return orderWorkflowId('no-order');
      },
      expectedViolation: /was accepted, but there is no such order/,
    },
    'an order exists without a request': {
      async inject() {
        return orderWorkflowId(await placeOrder('somebody-else', [{ sku: ledger.products[0]!.sku, quantity: 1 }]));
      },
      expectedViolation: /exists, but no client requested it/,
    },
    'a key gets a different response': {
      async inject() {
        const order = await completed();
        order.responses.push('rejected');
        return orderWorkflowId(order.orderId);
      },
      expectedViolation: /got different responses under the key/,
    },
    'an order has different lines than its request': {
      async inject() {
        const order = await completed();
        order.lines = order.lines.map((line) => ({ ...line, quantity: line.quantity + 1 }));
        return orderWorkflowId(order.orderId);
      },
      expectedViolation: /has the lines .*, not /,
    },
    'an order with a declined card is completed': {
      async inject() {
        const order = await completed();
        order.token = 'tok_declined';
        return orderWorkflowId(order.orderId);
      },
      expectedViolation: /is completed, not rejected: CardDeclined/,
    },
    'an order with an accepted cancellation is completed': {
      async inject() {
        const order = await completed();
        order.cancellation = { key: 'cancel', outcome: 'accepted', responses: [order.orderId] };
        return orderWorkflowId(order.orderId);
      },
      expectedViolation: /is completed, although its cancellation was accepted/,
    },
    'a change of a cart is lost': {
      inject() {
        const cart = cartEndingAs('open');
        cart.changes.push({ ...cart.changes[0]!, key: 'lost', kind: 'add', quantity: 500, responses: [] });
        return cartWorkflowId(cart.cartId);
      },
      expectedViolation: /holds \d+ x LOAD-CART-\w+, not \d+/,
    },
    'a cart is terminated': {
      async inject() {
        const workflowId = cartWorkflowId(ledger.carts.findLast(({ end }) => end === 'open')!.cartId);
        await shop.client.workflow.getHandle(workflowId).terminate();
        return workflowId;
      },
      expectedViolation: /accepted changes, but does not exist or does not respond to its query/,
    },
    'an open cart is abandoned': {
      inject() {
        const cart = cartEndingAs('abandoned');
        Object.assign(cart, { end: 'open', closing: [] });
        return cartWorkflowId(cart.cartId);
      },
      expectedViolation: /is abandoned, not open/,
    },
    'an approval reported a different decision': {
      inject() {
        const hasNoFaults = ({ decisions }: ClientLog['approvals'][number]) =>
          decisions.length > 0 && decisions.every(({ via, outcome }) => via === 'api' && outcome === 'accepted');
        const { approvalId, decisions } = ledger.approvals.find(hasNoFaults)!;
        for (const asked of decisions) asked.decision = asked.decision === 'approve' ? 'reject' : 'approve';
        return approvalWorkflowId(approvalId);
      },
      expectedViolation: /but no client that made this decision got this result/,
    },
    'a batch counts different items than the uploaded items': {
      inject() {
        const batch = ledger.batches[1]!;
        batch.lineCount += 1;
        return batchWorkflowId(batch.batchId);
      },
      expectedViolation: /has \d+ items and counts \d+, but \d+ were uploaded/,
    },
    'a report on a different parcel completes an order': {
      inject() {
        const { orderId, workflowId } = orderOf('foreign report');
        const [parcel] = shop.fakes.ledger.shipments.findByOrder(orderId);
        parcel!.status = 'accepted';
        return workflowId;
      },
      expectedViolation:
        /is completed by a report about another parcel; its own is accepted \(edge case: foreign report\)/,
    },
    'an order with a late delivery is refunded': {
      async inject() {
        const { orderId, workflowId } = orderOf('late delivery');
        await callGateway('refunds', `order:${orderId}:refund`, { orderId });
        return workflowId;
      },
      expectedViolation:
        /does not balance \(stock, money, parcel\): held, none, delivered.*\(edge case: late delivery\)/,
    },
    'a charge is repeated with an expired idempotency key': {
      async inject() {
        const { orderId, workflowId } = orderOf('expired key');
        const [charge] = shop.fakes.ledger.charges.findByOrder(orderId);
        shop.fakes.idempotencyKeys.expire(orderId);
        await callGateway('charges', charge!.key, charge!.request);
        return workflowId;
      },
      expectedViolation: /2 charges for one order.*\(edge case: expired key\)/,
    },
    'a completed order is recorded as cancelled after a reset': {
      async inject() {
        const { orderId, workflowId } = orderOf('reset after completion');
        await shop.ownerStore.db
          .updateTable('orders')
          .set({ status: 'cancelled' })
          .where('order_id', '=', orderId)
          .execute();
        return workflowId;
      },
      expectedViolation: /is completed, but is recorded as cancelled \(edge case: reset after completion\)/,
    },
    'a cancelled order is recorded as completed after a reset': {
      async inject() {
        const { orderId, workflowId } = orderOf('reset after cancellation');
        await shop.ownerStore.db
          .updateTable('orders')
          .set({ status: 'completed' })
          .where('order_id', '=', orderId)
          .execute();
        return workflowId;
      },
      expectedViolation:
        /had been rolled back, but is recorded as completed .* \(edge case: reset after cancellation\)/,
    },
    'an edge case is incomplete': {
      inject() {
        const edgeCase = ledger.edgeCases.find(({ name }) => name === 'reset while awaiting approval')!;
        edgeCase.outcome = 'the order was rejected before its reset';
        return edgeCase.workflowId!;
      },
      expectedViolation: /^was not completed: the order was rejected .* \(edge case: reset while awaiting approval\)/,
    },
  };

  beforeAll(async () => {
    shop = await startShop(await startDevServer());
    api = await startApi(shop);
    await addLoadProducts(shop.ownerStore);
    shop.fakes.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 });
    books = {
      addresses: shop.fakes,
      client: shop.client,
      store: shop.ownerStore,
      workflowCode: { workflowBundle: { codePath: inject('workflowBundle') } },
    };

    const load = startLoadGenerator({
      directAccess: { client: shop.client, store: shop.ownerStore },
      addresses: {
        apiUrls: [api.url],
        paymentsUrl: shop.fakes.paymentsUrl,
        carrierWebhookSecret: CARRIER_WEBHOOK_SECRET,
        approvalWebhookSecret: APPROVAL_WEBHOOK_SECRET,
      },
      random: new SeededRandom(SEED),
      profile: { clients: 6, maxPauseMs: 50, linesPerBatch: 200 },
    });
    const isLarge = (lines: OrderLine[]) => lines.some(({ sku }) => sku === LARGE_PRODUCT.sku);
    const hasEnoughRequests = ({ orders, carts, batches, callbacks }: ClientLog) =>
      orders.length >= 20 &&
      batches.length === 2 &&
      callbacks.sent > 0 &&
      // A large order waits for its approval, so its cancellation cannot come too late.
      orders.some(({ lines, cancellation }) => isLarge(lines) && cancellation?.outcome === 'accepted') &&
      carts.some(({ end }) => end === 'abandoned') &&
      carts.some(({ end }) => end === 'checked out') &&
      carts.filter(({ end }) => end === 'open').length >= 2;
    await waitUntil(() => hasEnoughRequests(load.log) || undefined, {
      description: 'enough requests',
      timeoutMs: 60_000,
    });
    ledger = await load.stop(40_000);
    untouched = await audit(structuredClone(ledger), books, { deadlineMs: 30_000 });
  }, 150_000);
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  /** Places and cancels an order whose refund fails permanently, so that it needs an operator. */
  async function placeStuckOrder(): Promise<string> {
    const orderId = await placeLoggedOrder('parked');
    shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: -1 });
    expect((await api.post(`/v1/orders/${orderId}/cancel`)).status).toBe(202);
    await api.waitForOrderStatus(orderId, 'compensation_stuck');
    return orderId;
  }

  /** Places an order whose parcel is picked up but not delivered in time. */
  async function placeOverdueOrder(): Promise<string> {
    const order = makeOrder({ lines: [{ sku: ledger.products[0]!.sku, quantity: 1 }], deliveryTimeoutSeconds: 1 });
    const { orderId, customerId, lines } = order;
    shop.fakes.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 1_000_000 }, orderId);
    await shop.client.workflow.start(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
    });
    ledger.orders.push({
      key: 'overdue',
      outcome: 'accepted',
      responses: [orderId],
      customerId,
      lines,
      token: 'tok_ok',
    });
    await api.waitForOrderStatus(orderId, 'delivery_overdue');
    return orderId;
  }

  test('reports no violations for an undamaged shop, counts every effect once and replays every history', () => {
    const { violations, lost, duplicated, reportedOpen, accepted, effects, replayed, outcomes } = untouched;
    expect(violations).toEqual([]);
    expect({ lost, duplicated, reportedOpen }).toEqual({ lost: 0, duplicated: 0, reportedOpen: [] });
    expect(accepted).toEqual(effects);
    expect(Object.values(accepted).every((count) => count > 0)).toBe(true);
    expect(replayed.histories).toBeGreaterThan(accepted.orders);
    expect(replayed.events).toBeGreaterThan(10 * replayed.histories);
    expect(Object.keys(outcomes).map((outcome) => outcome.split(':')[0])).toEqual(
      expect.arrayContaining(['completed', 'rejected', 'cancelled']),
    );
    expect(ledger.edgeCases).toHaveLength(Object.keys(EDGE_CASES).length);
    const { callbacks } = ledger;
    expect(callbacks.repeated + callbacks.outOfOrder).toBeGreaterThan(0);
  });

  test('counts each item of a batch once', () => {
    expect(untouched.accepted['batch items']).toBe(400);
  });

  describe('after damage to the shop', () => {
    beforeAll(async () => {
      parked = orderWorkflowId(await placeStuckOrder());
      overdue = orderWorkflowId(await placeOverdueOrder());
      for (const [what, { inject: damage }] of Object.entries(damages)) done.set(what, await damage());
      damaged = await audit(ledger, books, { deadlineMs: 2_000 });
    });

    test.each(Object.entries(damages))('reports the workflow if %s', (what, { expectedViolation }) => {
      const workflowId = done.get(what)!;
      const told = damaged.violations.filter((violation) => violation.workflowId === workflowId);
      expect(told.map((violation) => violation.message)).toEqual(
        expect.arrayContaining([expect.stringMatching(expectedViolation)]),
      );
    });

    test('reports no other violations except products with wrong stock', () => {
      const named = damaged.violations.map(({ workflowId }) => workflowId);
      const others = named.filter((name) => ![...done.values()].includes(name));
      expect(others.filter((name) => !/^product LOAD-(BEANS|FILTERS|MUG)$/.test(name))).toEqual([]);
      expect(others.length).toBeGreaterThan(0);
      expect(damaged.lost).toBe(3);
      expect(damaged.duplicated).toBe(3);
    });

    test('accepts open orders with a stuck compensation or an overdue delivery', () => {
      expect(damaged.reportedOpen.toSorted()).toEqual([parked, overdue].toSorted());
    });

    test('reports a workflow whose history does not replay with the current code', async () => {
      const bundle = await readFile(inject('workflowBundle'), 'utf8');
      const otherCode = { workflowBundle: { code: bundle.replaceAll('reserveStock', 'holdStock') } };
      const { workflowId, runId, type } = await shop.client.workflow.getHandle(parked).describe();
      const findings = new Findings();

      await readHistories(shop.client, [{ workflowId, runId, type }], otherCode, findings);

      expect(findings.violations).toEqual([
        { workflowId, message: expect.stringMatching(/^does not replay: .*reserveStock.*holdStock/) },
      ]);
    });
  });
});
