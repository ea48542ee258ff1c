import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Findings } from '../../../tools/chaos/audit/findings.js';
import { readHistories } from '../../../tools/chaos/audit/histories.js';
import { audit, type Audit, type Books } from '../../../tools/chaos/audit/index.js';
import { EDGE_CASES } from '../../../tools/chaos/clients/edge-cases.js';
import { startCrowd, stockTheShop } from '../../../tools/chaos/clients/index.js';
import type { AskedOrder, Ledger } from '../../../tools/chaos/ledger.js';
import { Random } from '../../../tools/chaos/random.js';
import { waitUntil } from '../../../tools/processes/wait.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import {
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderIdOf,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import { APPROVAL_WEBHOOK_SECRET } from '../../support/activities.js';
import { startApi, type Api } from '../../support/api.js';
import { describeOnDevServer, startDevServer } from '../../support/dev-server.js';
import { CARRIER_WEBHOOK_SECRET } from '../../support/outside-world.js';
import { anOrder, openShop, type Shop } from '../../support/shop.js';

/** With this seed, everything that the tests need happens soon. */
const SEED = 472;

/** One kind of damage, and the violation that the auditor must report. */
interface Damage {
  /** Does the damage. @returns the id of the damaged workflow. */
  done: () => Promise<string> | string;
  said: RegExp;
}

// The load generator takes seconds, so all tests share one run. It is audited untouched, and again after the
// damage.
describeOnDevServer('the audit of a load run', () => {
  let shop: Shop;
  let api: Api;
  let books: Books;
  let ledger: Ledger;
  let untouched: Audit;
  let damaged: Audit;
  const done = new Map<string, string>();
  let parked: string;
  let overdue: string;

  /** Returns another completed order of the load run on each call. */
  const completed = (() => {
    const given = new Set<string>();
    return async (): Promise<AskedOrder & { orderId: string }> => {
      const ofEdgeCases = ledger.edgeCases.map(({ workflowId }) => workflowId);
      for (const order of ledger.orders) {
        const [orderId = ''] = order.answers;
        if (order.token !== 'tok_ok' || order.cancellation || given.has(orderId)) continue;
        if (ofEdgeCases.includes(orderWorkflowId(orderId))) continue;
        given.add(orderId);
        const { body } = await api.get<OrderResource>(`/v1/orders/${orderId}`);
        if (body.status === 'completed') return Object.assign(order, { orderId });
      }
      throw new Error('there is no completed order left');
    };
  })();

  /** Places an order outside the load generator and adds it to the ledger. Its parcel is not delivered. */
  async function anOrderInTheLedger(name: string): Promise<string> {
    shop.outside.carrier.configure({ autoDeliver: false });
    const lines = [{ sku: ledger.products[0]!.sku, quantity: 1 }];
    const orderId = await placed(name, lines);
    ledger.orders.push({ key: name, fate: 'accepted', answers: [orderId], customerId: name, lines, token: 'tok_ok' });
    await api.orderOnce(orderId, ({ stage }) => stage === 'awaiting_pickup', 'awaits pickup');
    return orderId;
  }

  async function placed(customerId: string, lines: AskedOrder['lines']): Promise<string> {
    const order = { customerId, lines, payment: { token: 'tok_ok' } };
    const { status, body } = await api.post<{ orderId: string }>('/v1/orders', order);
    expect(status).toBe(202);
    return body.orderId;
  }

  /** The order of an edge case. */
  function orderOf(name: string): { orderId: string; workflowId: string } {
    const { workflowId } = ledger.edgeCases.find((edgeCase) => edgeCase.name === name)!;
    return { orderId: orderIdOf(workflowId!), workflowId: workflowId! };
  }

  /** Calls the fake payment gateway directly. */
  async function callGateway(path: string, idempotencyKey: string, body: unknown): Promise<void> {
    const response = await fetch(`${shop.outside.paymentsUrl}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(body),
    });
    expect(response.ok).toBe(true);
  }

  const aCart = (end: Ledger['carts'][number]['end']) =>
    ledger.carts.find(
      (cart) => cart.end === end && cart.changes.some(({ fate, kind }) => fate === 'accepted' && kind === 'add'),
    )!;

  const damages: Record<string, Damage> = {
    'a reservation is deleted': {
      async done() {
        const { orderId } = await completed();
        await shop.owner.db.deleteFrom('orders').where('order_id', '=', orderId).execute();
        return orderWorkflowId(orderId);
      },
      said: /does not balance \(stock, money, parcel\): back, kept, delivered/,
    },
    'stock is added twice': {
      async done() {
        const [{ batchId, pieces }] = ledger.batches as [Ledger['batches'][number]];
        const [sku, more] = Object.entries(pieces)[0]!;
        await shop.owner.db
          .updateTable('products')
          .set(({ eb }) => ({ stock: eb('stock', '+', more) }))
          .where('sku', '=', sku)
          .execute();
        return batchWorkflowId(batchId);
      },
      said: /added \d+ x CROWD-BATCH-1A to the stock, not \d+/,
    },
    'a customer is charged twice': {
      async done() {
        const { orderId } = await completed();
        await callGateway('charges', 'another', { orderId, amount: { value: 1, currency: 'EUR' }, token: 'tok_ok' });
        return orderWorkflowId(orderId);
      },
      said: /2 charges for one order/,
    },
    'an order is terminated': {
      async done() {
        const workflowId = orderWorkflowId(await anOrderInTheLedger('terminated'));
        await shop.client.workflow.getHandle(workflowId).terminate();
        return workflowId;
      },
      said: /is terminated, and that is no end/,
    },
    'an order is still running': {
      async done() {
        return orderWorkflowId(await anOrderInTheLedger('waiting'));
      },
      said: /is running, and that is no end/,
    },
    'an accepted order does not exist': {
      done() {
        const lines = [{ sku: ledger.products[0]!.sku, quantity: 1 }];
        const order = { customerId: 'nobody', lines, token: 'tok_ok', key: 'no key', fate: 'accepted' as const };
        ledger.orders.push({ ...order, answers: ['no-order'] });
        return orderWorkflowId('no-order');
      },
      said: /was accepted, and there is no such order/,
    },
    'an order exists without a request': {
      async done() {
        return orderWorkflowId(await placed('somebody-else', [{ sku: ledger.products[0]!.sku, quantity: 1 }]));
      },
      said: /is there, and nobody asked for it/,
    },
    'a key gets another response': {
      async done() {
        const order = await completed();
        order.answers.push('refused');
        return orderWorkflowId(order.orderId);
      },
      said: /was answered differently under the key/,
    },
    'an order has other lines': {
      async done() {
        const order = await completed();
        order.lines = order.lines.map((line) => ({ ...line, quantity: line.quantity + 1 }));
        return orderWorkflowId(order.orderId);
      },
      said: /is about .*, not /,
    },
    'an order with a declined card is completed': {
      async done() {
        const order = await completed();
        order.token = 'tok_declined';
        return orderWorkflowId(order.orderId);
      },
      said: /is completed, not rejected: CardDeclined/,
    },
    'an order with an accepted cancellation is completed': {
      async done() {
        const order = await completed();
        order.cancellation = { key: 'cancel', fate: 'accepted', answers: [order.orderId] };
        return orderWorkflowId(order.orderId);
      },
      said: /is completed, although its cancellation was accepted/,
    },
    'a change of a cart is lost': {
      done() {
        const cart = aCart('open');
        cart.changes.push({ ...cart.changes[0]!, key: 'lost', kind: 'add', quantity: 500, answers: [] });
        return cartWorkflowId(cart.cartId);
      },
      said: /holds \d+ x CROWD-CART-\w+, not \d+/,
    },
    'a cart is terminated': {
      async done() {
        const workflowId = cartWorkflowId(ledger.carts.findLast(({ end }) => end === 'open')!.cartId);
        await shop.client.workflow.getHandle(workflowId).terminate();
        return workflowId;
      },
      said: /took changes, and is not there or does not say how it stands/,
    },
    'an open cart is abandoned': {
      done() {
        const cart = aCart('abandoned');
        Object.assign(cart, { end: 'open', closing: [] });
        return cartWorkflowId(cart.cartId);
      },
      said: /is abandoned, not open/,
    },
    'another decision was reported': {
      done() {
        const isPlain = ({ decisions }: Ledger['approvals'][number]) =>
          decisions.length > 0 && decisions.every(({ via, fate }) => via === 'api' && fate === 'accepted');
        const { approvalId, decisions } = ledger.approvals.find(isPlain)!;
        for (const asked of decisions) asked.decision = asked.decision === 'approve' ? 'reject' : 'approve';
        return approvalWorkflowId(approvalId);
      },
      said: /and nobody who decided so was told that it counts/,
    },
    'a batch counts other items than the uploaded ones': {
      done() {
        const batch = ledger.batches[1]!;
        batch.lines += 1;
        return batchWorkflowId(batch.batchId);
      },
      said: /has \d+ items and counts \d+, but \d+ were uploaded/,
    },
    'a report about another parcel completes an order': {
      done() {
        const { orderId, workflowId } = orderOf('foreign report');
        const [parcel] = shop.outside.ledger.shipments.ofOrder(orderId);
        parcel!.status = 'accepted';
        return workflowId;
      },
      said: /is completed by a report about another parcel; its own is accepted \(edge case: foreign report\)/,
    },
    'an order with a late delivery is refunded': {
      async done() {
        const { orderId, workflowId } = orderOf('late delivery');
        await callGateway('refunds', `order:${orderId}:refund`, { orderId });
        return workflowId;
      },
      said: /does not balance \(stock, money, parcel\): held, none, delivered.*\(edge case: late delivery\)/,
    },
    'a charge is repeated under a key that the gateway has forgotten': {
      async done() {
        const { orderId, workflowId } = orderOf('forgotten key');
        const [charge] = shop.outside.ledger.charges.ofOrder(orderId);
        shop.outside.keys.forget(orderId);
        await callGateway('charges', charge!.key, charge!.request);
        return workflowId;
      },
      said: /2 charges for one order.*\(edge case: forgotten key\)/,
    },
    'a completed order is recorded as cancelled after a reset': {
      async done() {
        const { orderId, workflowId } = orderOf('reset after completion');
        await shop.owner.db
          .updateTable('orders')
          .set({ status: 'cancelled' })
          .where('order_id', '=', orderId)
          .execute();
        return workflowId;
      },
      said: /is completed, and is recorded as cancelled \(edge case: reset after completion\)/,
    },
    'a cancelled order is recorded as completed after a reset': {
      async done() {
        const { orderId, workflowId } = orderOf('reset after cancellation');
        await shop.owner.db
          .updateTable('orders')
          .set({ status: 'completed' })
          .where('order_id', '=', orderId)
          .execute();
        return workflowId;
      },
      said: /had been rolled back, and is recorded as completed .* \(edge case: reset after cancellation\)/,
    },
    'an edge case is incomplete': {
      done() {
        const edgeCase = ledger.edgeCases.find(({ name }) => name === 'reset while awaiting approval')!;
        edgeCase.outcome = 'the order was rejected before its reset';
        return edgeCase.workflowId!;
      },
      said: /^was not played to its end: the order was rejected .* \(edge case: reset while awaiting approval\)/,
    },
  };

  beforeAll(async () => {
    shop = await openShop(await startDevServer());
    api = await startApi(shop);
    await stockTheShop(shop.owner);
    shop.outside.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 });
    books = {
      addresses: shop.outside,
      client: shop.client,
      store: shop.owner,
      code: { workflowBundle: { codePath: inject('workflowBundle') } },
    };

    const crowd = startCrowd({
      tools: { client: shop.client, store: shop.owner },
      addresses: {
        apiUrls: [api.url],
        paymentsUrl: shop.outside.paymentsUrl,
        carrierWebhookSecret: CARRIER_WEBHOOK_SECRET,
        approvalWebhookSecret: APPROVAL_WEBHOOK_SECRET,
      },
      random: new Random(SEED),
      pace: { customers: 6, restMs: 50, batchLines: 200 },
    });
    const isEnough = ({ orders, carts, batches, callbacks }: Ledger) =>
      orders.length >= 20 &&
      batches.length === 2 &&
      callbacks.sent > 0 &&
      carts.some(({ end }) => end === 'abandoned') &&
      carts.some(({ end }) => end === 'checked out') &&
      carts.filter(({ end }) => end === 'open').length >= 2;
    await waitUntil(() => isEnough(crowd.ledger) || undefined, { what: 'a crowd', deadlineMs: 60_000 });
    ledger = await crowd.stop(40_000);
    untouched = await audit(structuredClone(ledger), books, { deadlineMs: 30_000 });
  }, 150_000);
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  /** Places and cancels an order whose refund fails permanently, so that it needs an operator. */
  async function parkedOrder(): Promise<string> {
    const orderId = await anOrderInTheLedger('parked');
    shop.outside.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: -1 });
    expect((await api.post(`/v1/orders/${orderId}/cancel`)).status).toBe(202);
    await api.orderOnce(orderId, ({ status }) => status === 'compensation_stuck', 'parked');
    return orderId;
  }

  /** Places an order whose parcel is picked up but not delivered in time. */
  async function overdueOrder(): Promise<string> {
    const order = anOrder({ lines: [{ sku: ledger.products[0]!.sku, quantity: 1 }], deliveryTimeoutSeconds: 1 });
    const { orderId, customerId, lines } = order;
    shop.outside.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 1_000_000 }, orderId);
    await shop.client.workflow.start(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
    });
    ledger.orders.push({ key: 'overdue', fate: 'accepted', answers: [orderId], customerId, lines, token: 'tok_ok' });
    await api.orderOnce(orderId, ({ status }) => status === 'delivery_overdue', 'overdue');
    return orderId;
  }

  test('finds every accepted effect once and replays every history in an untouched shop', () => {
    const { violations, lost, doubled, reported, accepted, effects, replayed, outcomes } = untouched;
    expect(violations).toEqual([]);
    expect({ lost, doubled, reported }).toEqual({ lost: 0, doubled: 0, reported: [] });
    expect(accepted).toEqual(effects);
    expect(Object.values(accepted).every((count) => count > 0)).toBe(true);
    expect(accepted['batch items']).toBe(400);
    expect(replayed.histories).toBeGreaterThan(accepted.orders);
    expect(replayed.events).toBeGreaterThan(10 * replayed.histories);
    expect(Object.keys(outcomes).map((outcome) => outcome.split(':')[0])).toEqual(
      expect.arrayContaining(['completed', 'rejected', 'cancelled']),
    );
    expect(ledger.edgeCases).toHaveLength(Object.keys(EDGE_CASES).length);
    const { callbacks } = ledger;
    expect(callbacks.repeated + callbacks.outOfOrder).toBeGreaterThan(0);
  });

  describe('after damage', () => {
    beforeAll(async () => {
      parked = orderWorkflowId(await parkedOrder());
      overdue = orderWorkflowId(await overdueOrder());
      for (const [what, { done: damage }] of Object.entries(damages)) done.set(what, await damage());
      damaged = await audit(ledger, books, { deadlineMs: 2_000 });
    });

    test.each(Object.entries(damages))('names the workflow if %s', (what, { said }) => {
      const workflowId = done.get(what)!;
      const told = damaged.violations.filter((violation) => violation.workflowId === workflowId);
      expect(told.map((violation) => violation.what)).toEqual(expect.arrayContaining([expect.stringMatching(said)]));
    });

    test('names nothing else except products whose stock is wrong', () => {
      const named = damaged.violations.map(({ workflowId }) => workflowId);
      const others = named.filter((name) => ![...done.values()].includes(name));
      expect(others.filter((name) => !/^product CROWD-(BEANS|FILTERS|MUG)$/.test(name))).toEqual([]);
      expect(others.length).toBeGreaterThan(0);
      expect(damaged.lost).toBe(3);
      expect(damaged.doubled).toBe(3);
    });

    test('accepts an open order whose compensation is stuck or whose delivery is overdue', () => {
      expect(damaged.reported.toSorted()).toEqual([parked, overdue].toSorted());
    });

    test('names a workflow whose history does not replay with the current code', async () => {
      const bundle = await readFile(inject('workflowBundle'), 'utf8');
      const otherCode = { workflowBundle: { code: bundle.replaceAll('reserveStock', 'holdStock') } };
      const { workflowId, runId, type } = await shop.client.workflow.getHandle(parked).describe();
      const findings = new Findings();

      await readHistories(shop.client, [{ workflowId, runId, type }], otherCode, findings);

      expect(findings.violations).toEqual([
        { workflowId, what: expect.stringMatching(/^does not replay: .*reserveStock.*holdStock/) },
      ]);
    });
  });
});
