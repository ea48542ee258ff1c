import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalResource, ApprovalSummary } from '../../../../src/schemas/approval.js';
import type { OrderResource, OrderSummary } from '../../../../src/schemas/order.js';
import { waitUntil } from '../../../support/processes.js';
import { startApi, type Api } from '../../../support/api/api.js';
import { makeApproval, makeStage } from '../../../support/shop/approvals.js';
import { authOf, createCaller, type TestCaller } from '../../../support/api/callers.js';
import type { CartBody } from '../../../support/shop/carts.js';
import { describeOnDevServer, startDevServer } from '../../../support/temporal/dev-server.js';
import { addProduct, startShop, type Shop } from '../../../support/shop/shop.js';

/**
 * Caller ids in the forms of common identity providers, unique for each run. Some pairs differ only in case or in one
 * character.
 */
const tag = randomUUID().slice(0, 8);
const CALLER_IDS = [
  `ada.lovelace+shop-${tag}@example.com`,
  `Ada.Lovelace+shop-${tag}@example.com`,
  `miles.o'brien-${tag}@example.com`,
  `miles.o''brien-${tag}@example.com`,
  `auth0|${tag}`,
  `auth0%${tag}`,
  `-${tag}`,
  `_${tag}`,
  `system:serviceaccount:shop:${tag}`,
  `spiffe://example.org/ns/shop/sa/${tag}?a=b&c=%20#d`,
  `(*)[${tag}],{x};~!$^=`,
  `sha256:${'0'.repeat(56)}${tag}`,
  'x'.repeat(112) + tag,
];

describeOnDevServer('callers with unusual ids', () => {
  let shop: Shop;
  let api: Api;
  let sku: string;
  const callers = CALLER_IDS.map((id) => createCaller(['shopper', 'approver'], id));
  const operator = createCaller(['operator']);

  beforeAll(async () => {
    shop = await startShop(await startDevServer());
    api = await startApi({ ...shop, auth: authOf(...callers, operator) });
    sku = (await addProduct(shop.store, { available: 1_000 })).sku;
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const get = <T>(by: TestCaller, path: string) => by.send<T>(api, 'GET', path);
  const post = <T>(by: TestCaller, path: string, json?: unknown) => by.send<T>(api, 'POST', path, { json });
  const query = (values: Record<string, string>) => new URLSearchParams({ limit: '200', ...values }).toString();

  test('each customer can place, read and list only their own orders', async () => {
    const orders = new Map<string, string>();
    for (const by of callers) {
      const order = { customerId: by.id, lines: [{ sku, quantity: 1 }], payment: { token: 'tok_ok' } };
      const headers = { 'idempotency-key': `first-${tag}` };
      const { status, body } = await by.send<OrderSummary>(api, 'POST', '/v1/orders', { json: order, headers });
      expect([by.id, status]).toEqual([by.id, 202]);
      orders.set(by.id, body.orderId);
    }
    // All callers send the same Idempotency-Key, but each caller must get their own order.
    expect(new Set(orders.values()).size).toBe(CALLER_IDS.length);

    const list = async (by: TestCaller, customerId: string) => {
      const { status, body } = await get<{ items: OrderSummary[] }>(by, `/v1/orders?${query({ customerId })}`);
      expect([customerId, status]).toEqual([customerId, 200]);
      return body.items.map(({ orderId }) => orderId);
    };
    const findAllListed = async () => {
      const lists = await Promise.all(CALLER_IDS.map((id) => list(operator, id)));
      return lists.every(({ length }) => length > 0) || undefined;
    };
    await waitUntil(findAllListed, { description: 'every order being listed', timeoutMs: 20_000, intervalMs: 200 });

    for (const by of callers) {
      const own = orders.get(by.id)!;
      expect(await list(by, by.id)).toEqual([own]);
      expect(await list(operator, by.id)).toEqual([own]);
      const { status, body } = await get<OrderResource>(by, `/v1/orders/${own}`);
      expect([status, body.customerId]).toEqual([200, by.id]);
      const other = orders.get(CALLER_IDS[(CALLER_IDS.indexOf(by.id) + 1) % CALLER_IDS.length]!)!;
      expect((await get(by, `/v1/orders/${other}`)).status).toBe(404);
    }
  });

  test('each customer owns their cart and the order of that cart', async () => {
    for (const [index, by] of callers.entries()) {
      const cart = `/v1/carts/${randomUUID()}`;
      const added = await post<CartBody>(by, `${cart}/items`, { sku, quantity: 1 });
      expect([added.status, added.body.customerId]).toEqual([200, by.id]);
      const next = callers[(index + 1) % callers.length]!;
      expect((await get(next, cart)).status).toBe(404);

      const { status, body } = await post<CartBody>(by, `${cart}/checkout`, { payment: { token: 'tok_ok' } });
      expect([by.id, status]).toEqual([by.id, 202]);
      // The order shows its customer only after the stock reservation.
      const readOwner = async () => {
        const order = await get<OrderResource>(by, `/v1/orders/${body.orderId}`);
        expect([by.id, order.status]).toEqual([by.id, 200]);
        return order.body.customerId;
      };
      expect(
        await waitUntil(readOwner, { description: `the order of ${by.id}`, timeoutMs: 20_000, intervalMs: 50 }),
      ).toBe(by.id);
    }
  });

  test('each approver can list and decide their approvals, but cannot decide their own request', async () => {
    for (const [index, by] of callers.entries()) {
      const requester = callers[(index + 1) % callers.length]!;
      const approvers = [{ id: by.id }, { id: requester.id }];
      const input = makeApproval({ stages: [makeStage(...approvers)], requestedBy: requester.id });
      expect((await post(requester, '/v1/approvals', input)).status).toBe(202);
      const path = `/v1/approvals/${input.approvalId}`;

      const findListed = async () => {
        const { status, body } = await get<{ items: ApprovalSummary[] }>(
          by,
          `/v1/approvals?${query({ approver: by.id })}`,
        );
        expect([by.id, status]).toEqual([by.id, 200]);
        return body.items.some(({ approvalId }) => approvalId === input.approvalId) || undefined;
      };
      await waitUntil(findListed, { description: `${by.id} being listed`, timeoutMs: 20_000, intervalMs: 100 });

      const decision = (approver: string) => ({ approver, decision: 'approve' });
      const own = await post<{ type: string }>(requester, `${path}/decision`, decision(requester.id));
      expect([own.status, own.body.type]).toEqual([403, '/problems/self-approval']);
      expect((await post(by, `${path}/decision`, decision(requester.id))).status).toBe(403);
      const { status, body } = await post<ApprovalResource>(by, `${path}/decision`, decision(by.id));
      expect([status, body.decision?.approver, body.requestedBy]).toEqual([200, by.id, requester.id]);
    }
  });

  test('an approver lists only the approvals that await exactly their caller id', async () => {
    const asked = new Map<string, string>();
    for (const by of callers) {
      const input = makeApproval({ stages: [makeStage({ id: by.id })] });
      expect((await post(operator, '/v1/approvals', input)).status).toBe(202);
      asked.set(by.id, input.approvalId);
    }
    const list = async (by: TestCaller) => {
      const { body } = await get<{ items: ApprovalSummary[] }>(by, `/v1/approvals?${query({})}`);
      return body.items.map(({ approvalId }) => approvalId);
    };
    const findAllListed = async () => {
      const findListed = await list(operator);
      return [...asked.values()].every((approvalId) => findListed.includes(approvalId)) || undefined;
    };
    await waitUntil(findAllListed, { description: 'every approval being listed', timeoutMs: 20_000, intervalMs: 200 });

    for (const by of callers) {
      const waiting = new Set(await list(by));
      const seen = CALLER_IDS.filter((id) => waiting.has(asked.get(id)!));
      expect(seen).toEqual([by.id]);
    }
  });

  test.each(['', 'a b', 'ada"', 'ada\\', '<ada>', 'ädä', 'ada\n', 'x'.repeat(121)])(
    'rejects the customer id %j with 400 and an example',
    async (customerId) => {
      const order = { customerId, lines: [{ sku, quantity: 1 }], payment: { token: 'tok_ok' } };
      const { status, body } = await post<{ errors: { pointer: string; detail: string }[] }>(
        operator,
        '/v1/orders',
        order,
      );

      expect([status, body.errors.map(({ pointer }) => pointer)]).toEqual([400, ['/customerId']]);
      expect(body.errors[0]!.detail).toContain('ada@example.com');
    },
  );
});
