import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApprovalInput, ApprovalResource, ApprovalSummary } from '../../../src/schemas/approval.js';
import type { OrderResource, OrderSummary } from '../../../src/schemas/order.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart as cartWorkflow } from '../../../src/workflows/cart/workflow.js';
import { customerIdAttribute, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type ApiResponse, type Api, type RequestOptions } from '../../support/api/api.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { authOf, createCaller, fetchApiOperations, type TestCaller } from '../../support/api/callers.js';
import { readExecutionChain, startCart, type CartBody } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';

type Body = Problem & { orderId?: string };

describeOnDevServer('ownership of orders, carts and approvals', () => {
  let shop: Shop;
  let api: Api;
  let sku: string;
  const [ada, bob] = [createCaller(['shopper']), createCaller(['shopper'])] as const;
  const [lead, boss, otherCaller] = [
    createCaller(['approver']),
    createCaller(['approver']),
    createCaller(['approver']),
  ] as const;
  const operator = createCaller(['operator']);

  beforeAll(async () => {
    shop = await startShop(await startDevServer());
    const callers = [ada, bob, lead, boss, otherCaller, operator];
    api = await startApi({ ...shop, auth: authOf(...callers) });
    sku = (await addProduct(shop.store, { available: 100_000 })).sku;
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const get = <T = Body>(by: TestCaller, path: string) => by.send<T>(api, 'GET', path);
  const post = <T = Body>(by: TestCaller, path: string, json?: unknown) => by.send<T>(api, 'POST', path, { json });
  const payment = { token: 'tok_ok' };

  async function placeOrderOf(customer: TestCaller, by = customer): Promise<string> {
    const lines = [{ sku, quantity: 1 }];
    const { status, body } = await post(by, '/v1/orders', { customerId: customer.id, lines, payment });
    expect(status, JSON.stringify(body)).toBe(202);
    return body.orderId!;
  }

  async function openCartOf(by: TestCaller): Promise<string> {
    const cartId = randomUUID();
    expect((await post(by, `/v1/carts/${cartId}/items`, { sku, quantity: 1 })).status).toBe(200);
    return cartId;
  }

  const cartOf = (cartId: string) => shop.client.workflow.getHandle<typeof cartWorkflow>(cartWorkflowId(cartId));

  async function readOwner(workflowId: string): Promise<string | undefined> {
    const { typedSearchAttributes } = await shop.client.workflow.getHandle(workflowId).describe();
    return typedSearchAttributes.get(customerIdAttribute);
  }

  /**
   * Checks that the response about a resource of another caller equals the response about a missing resource, except
   * for the id.
   */
  function expectNotFound(
    foreignOrderId: ApiResponse<Body>,
    id: string,
    missing: ApiResponse<Body>,
    missingId: string,
  ): void {
    expect([foreignOrderId.status, foreignOrderId.body.type]).toEqual([404, '/problems/not-found']);
    const comparableResponse = ({ headers, body }: ApiResponse<Body>, id: string) => {
      const { requestId: _its, ...rest } = body;
      const named = [...headers].filter(([name]) => !['x-request-id', 'date', 'ratelimit-remaining'].includes(name));
      return { body: JSON.stringify(rest).replaceAll(id, '…'), headers: named };
    };
    expect(comparableResponse(foreignOrderId, id)).toEqual(comparableResponse(missing, missingId));
  }

  type Ask = [method: string, path: (id: string) => string, options?: RequestOptions];
  const orderAsks: Record<string, () => Ask> = {
    getOrder: () => ['GET', (id) => `/v1/orders/${id}`],
    cancelOrder: () => ['POST', (id) => `/v1/orders/${id}/cancel`, { json: { reason: 'mine' } }],
  };
  const cartAsks: Record<string, () => Ask> = {
    getCart: () => ['GET', (id) => `/v1/carts/${id}`],
    setQuantity: () => ['PATCH', (id) => `/v1/carts/${id}/items/${sku}`, { json: { quantity: 9 } }],
    removeItem: () => ['DELETE', (id) => `/v1/carts/${id}/items/${sku}`],
    checkOut: () => ['POST', (id) => `/v1/carts/${id}/checkout`, { json: { payment } }],
    abandonCart: () => ['DELETE', (id) => `/v1/carts/${id}`],
  };
  const send = (by: TestCaller, [method, path, options]: Ask, id: string) =>
    by.send<Body>(api, method, path(id), options);

  test('the ownership tests cover every operation on a single order or cart that shoppers may call', async () => {
    const startApproval = (await fetchApiOperations(api)).filter(
      ({ path, ...operation }) => operation['x-roles']?.includes('shopper') && /\/\{(orderId|cartId)\}/.test(path),
    );
    const known = [...Object.keys(orderAsks), ...Object.keys(cartAsks), 'addItem'];
    expect(startApproval.map(({ operationId }) => operationId).sort()).toEqual(known.sort());
  });

  describe('access to orders', () => {
    test.each(Object.entries(orderAsks))(
      '%s returns 404 for the order of another shopper, even after the order closes',
      async (_operation, poll) => {
        const [orderId, missingId] = [await placeOrderOf(ada), randomUUID()];
        const missing = await send(bob, poll(), missingId);

        expectNotFound(await send(bob, poll(), orderId), orderId, missing, missingId);
        await shop.client.workflow.getHandle(orderWorkflowId(orderId)).terminate();
        expectNotFound(await send(bob, poll(), orderId), orderId, missing, missingId);

        const updates = (await fetchEventSummaries(shop.client.workflow.getHandle(orderWorkflowId(orderId)))).filter(
          ({ type }) => type.startsWith('WorkflowExecutionUpdate'),
        );
        expect(updates).toEqual([]);
      },
    );

    test('the console hides an order from another shopper as the API does', async () => {
      const orderId = await placeOrderOf(ada);
      const statusOf = async (method: string, path: string, form?: Record<string, string>) => {
        const response = await fetch(`${api.url}/console/orders/${orderId}${path}`, {
          method,
          headers: { ...FROM_OWN_PAGE, ...bob.authHeader },
          ...(form && { body: new URLSearchParams(form) }),
        });
        await response.body?.cancel();
        return response.status;
      };
      expect(await statusOf('GET', '')).toBe(404);
      expect(await statusOf('GET', '/live')).toBe(404);
      expect(await statusOf('POST', '/cancel', { reason: 'mine' })).toBe(404);
      // Only operators may decide.
      const retry = { compensation: 'refundPayment', attempt: '1', action: 'retry' };
      expect(await statusOf('POST', '/compensation', retry)).toBe(403);
      expect(await statusOf('POST', '/delivery', { attempt: '1', action: 'delivered' })).toBe(403);
      expect((await get<OrderResource>(ada, `/v1/orders/${orderId}`)).body.cancellation).toBeUndefined();
    });

    test('returns an order to its customer and to an operator', async () => {
      const orderId = await placeOrderOf(ada);
      for (const by of [ada, operator]) {
        const { status, body } = await get<OrderResource>(by, `/v1/orders/${orderId}`);
        expect([status, body.customerId]).toEqual([200, ada.id]);
      }
      expect((await post(ada, `/v1/orders/${orderId}/cancel`)).status).toBe(202);
    });

    test('shows the customer id of a rejected order', async () => {
      const lines = [{ sku: 'NOT-THERE', quantity: 1 }];
      const { body } = await post(ada, '/v1/orders', { customerId: ada.id, lines, payment });
      const findRejection = async () => {
        const order = await get<OrderResource>(ada, `/v1/orders/${body.orderId}`);
        return order.body.status === 'rejected' ? order.body : undefined;
      };
      const order = await waitUntil(findRejection, { description: 'the rejection', timeoutMs: 10_000, intervalMs: 50 });
      expect(order).toMatchObject({ customerId: ada.id, reason: { type: 'UnknownSku' } });
    });

    test('a shopper cannot place an order for another customer (403), but an operator can', async () => {
      const order = { orderId: randomUUID(), customerId: ada.id, lines: [{ sku, quantity: 1 }], payment };

      const { status, body } = await post(bob, '/v1/orders', order);

      expect([status, body.type]).toEqual([403, '/problems/forbidden']);
      expect((await get(operator, `/v1/orders/${order.orderId}`)).status).toBe(404);
      expect((await post(operator, '/v1/orders', order)).status).toBe(202);
      expect(await readOwner(orderWorkflowId(order.orderId))).toBe(ada.id);
    });

    test('a shopper lists only their own orders, and an operator lists all orders', async () => {
      const [adasOrderId, bobsOrderId] = [await placeOrderOf(ada), await placeOrderOf(bob)];
      const list = async (by: TestCaller, query = '') => {
        const { body } = await get<{ items: OrderSummary[] }>(by, `/v1/orders?limit=200${query}`);
        return body.items;
      };
      const readView = async () => {
        const ids = (await list(operator)).map(({ orderId }) => orderId);
        return (ids.includes(adasOrderId) && ids.includes(bobsOrderId)) || undefined;
      };
      await waitUntil(readView, { description: 'both items in the list', timeoutMs: 10_000, intervalMs: 50 });

      for (const [by, own, other] of [
        [ada, adasOrderId, bobsOrderId],
        [bob, bobsOrderId, adasOrderId],
      ] as const) {
        for (const items of [await list(by), await list(by, `&customerId=${by.id}`)]) {
          expect(items.map(({ orderId }) => orderId)).toContain(own);
          expect(items.map(({ orderId }) => orderId)).not.toContain(other);
          expect(new Set(items.map(({ customerId }) => customerId))).toEqual(new Set([by.id]));
        }
      }
      expect((await get(bob, `/v1/orders?customerId=${ada.id}`)).status).toBe(403);
      expect((await list(operator, `&customerId=${ada.id}`)).map(({ orderId }) => orderId)).toContain(adasOrderId);
    });

    test('rejects the cursor of another shopper’s order list with 400', async () => {
      await Promise.all([placeOrderOf(ada), placeOrderOf(ada), placeOrderOf(bob), placeOrderOf(bob)]);
      const cursor = await waitUntil(
        async () => (await get<{ nextCursor?: string }>(ada, '/v1/orders?limit=1')).body.nextCursor,
        { description: 'a second page', timeoutMs: 10_000, intervalMs: 50 },
      );
      expect((await get(ada, `/v1/orders?limit=1&cursor=${cursor}`)).status).toBe(200);
      for (const by of [bob, operator]) {
        const { status, body } = await get(by, `/v1/orders?limit=1&cursor=${cursor}`);
        expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/cursor']]);
      }
    });
  });

  describe('access to carts', () => {
    test.each(Object.entries(cartAsks))(
      '%s returns 404 for the cart of another shopper, even after the cart closes',
      async (operation, poll) => {
        const [cartId, missingId] = [await openCartOf(ada), randomUUID()];
        const missing = await send(bob, poll(), missingId);
        const before = await fetchEventSummaries(cartOf(cartId));

        expectNotFound(await send(bob, poll(), cartId), cartId, missing, missingId);
        expect((await cartOf(cartId).describe()).status.name).toBe('RUNNING');
        expect((await fetchEventSummaries(cartOf(cartId))).filter(isUpdate)).toEqual(before.filter(isUpdate));

        expect((await ada.send(api, 'DELETE', `/v1/carts/${cartId}`)).status).toBe(200);
        expectNotFound(await send(bob, poll(), cartId), cartId, missing, missingId);
        for (const by of [ada, operator]) {
          const { status, body } = await send(by, poll(), cartId);
          expect([operation, status, body.cartStatus]).toEqual([operation, 410, 'abandoned']);
        }
      },
    );

    test('returns 404 when a shopper adds an item to another shopper’s cart, and writes nothing to the cart’s history', async () => {
      const [cartId, missingId] = [await openCartOf(ada), randomUUID()];
      const missing = await get(bob, `/v1/carts/${missingId}`);
      const before = await fetchEventSummaries(cartOf(cartId));

      const added = await post(bob, `/v1/carts/${cartId}/items`, { sku, quantity: 7 });

      expectNotFound(added, cartId, missing, missingId);
      expect((await fetchEventSummaries(cartOf(cartId))).filter(isUpdate)).toEqual(before.filter(isUpdate));
      const { body } = await get<CartBody>(ada, `/v1/carts/${cartId}`);
      expect(body.lines).toMatchObject([{ sku, quantity: 1 }]);
    });

    test('a cart keeps its owner across continue-as-new', async () => {
      const cartId = randomUUID();
      const { firstExecutionRunId } = await startCart(shop.client, {
        cartId,
        customerId: ada.id,
        continueAsNewAfterEvents: 1,
      });
      for (let number = 0; number < 2; number += 1) {
        const { status, body } = await post<CartBody>(ada, `/v1/carts/${cartId}/items`, { sku, quantity: 1 });
        expect([status, body.customerId]).toEqual([200, ada.id]);
      }
      const readChain = async () => {
        const { runIds } = await readExecutionChain(shop.client, cartWorkflowId(cartId), firstExecutionRunId);
        return runIds.length > 2 || undefined;
      };
      await waitUntil(readChain, { description: 'the third run', timeoutMs: 10_000, intervalMs: 50 });

      expect(await readOwner(cartWorkflowId(cartId))).toBe(ada.id);
      expect((await get(bob, `/v1/carts/${cartId}`)).status).toBe(404);
      expect((await post(bob, `/v1/carts/${cartId}/items`, { sku, quantity: 1 })).status).toBe(404);
      expect((await get<CartBody>(ada, `/v1/carts/${cartId}`)).body.customerId).toBe(ada.id);
    });

    test('stores the owner of a cart as a search attribute, and shows the owner to an operator', async () => {
      const cartId = await openCartOf(ada);

      expect(await readOwner(cartWorkflowId(cartId))).toBe(ada.id);
      expect((await get<CartBody>(operator, `/v1/carts/${cartId}`)).body.customerId).toBe(ada.id);
    });

    test('another shopper cannot reopen a checked-out cart, and the owner of the cart sees the order id', async () => {
      const cartId = await openCartOf(ada);
      const { body } = await post<CartBody>(ada, `/v1/carts/${cartId}/checkout`, { payment });

      expect((await post(bob, `/v1/carts/${cartId}/items`, { sku, quantity: 1 })).status).toBe(404);

      const gone = await get<CartBody>(ada, `/v1/carts/${cartId}`);
      expect([gone.status, gone.body.orderId]).toEqual([410, body.orderId]);
    });

    test('when two shoppers open the same cart id simultaneously, one owns the cart and the other gets 404', async () => {
      const cartId = randomUUID();
      const listBoth = [ada, bob];
      const responses = await Promise.all(
        listBoth.map((by) => post(by, `/v1/carts/${cartId}/items`, { sku, quantity: 1 })),
      );

      expect(responses.map(({ status }) => status).sort()).toEqual([200, 404]);
      const owner = listBoth[responses.findIndex(({ status }) => status === 200)]!;
      expect(await readOwner(cartWorkflowId(cartId))).toBe(owner.id);
      const { body } = await get<CartBody>(owner, `/v1/carts/${cartId}`);
      expect(body.lines).toMatchObject([{ sku, quantity: 1 }]);
    });

    test('a checkout places the order for the owner of the cart, even when an operator checks out', async () => {
      for (const by of [ada, operator]) {
        const cartId = await openCartOf(ada);
        const { status, body } = await post(by, `/v1/carts/${cartId}/checkout`, { payment });
        expect(status, JSON.stringify(body)).toBe(202);
        expect(await readOwner(orderWorkflowId(body.orderId!))).toBe(ada.id);
        expect((await get(ada, `/v1/orders/${body.orderId}`)).status).toBe(200);
        expect((await get(bob, `/v1/orders/${body.orderId}`)).status).toBe(404);
      }
    });

    test('a shopper cannot check out for another customer (403), and the cart stays open', async () => {
      const cartId = await openCartOf(ada);

      const { status, body } = await post(ada, `/v1/carts/${cartId}/checkout`, { payment, customerId: bob.id });

      expect([status, body.type]).toEqual([403, '/problems/forbidden']);
      expect((await get(ada, `/v1/carts/${cartId}`)).status).toBe(200);
    });

    test('a cart that an operator opens has no owner, and shoppers get 404 for the cart', async () => {
      const cartId = await openCartOf(operator);

      expect(await readOwner(cartWorkflowId(cartId))).toBeUndefined();
      expect((await get(ada, `/v1/carts/${cartId}`)).status).toBe(404);
      expect((await post(ada, `/v1/carts/${cartId}/items`, { sku, quantity: 1 })).status).toBe(404);
    });
  });

  describe('access to approvals', () => {
    async function startApproval(overrides: Partial<ApprovalInput> = {}) {
      const stages = [makeStage({ id: lead.id }, { id: boss.id })];
      const input = makeApproval({ stages, requestedBy: boss.id, ...overrides });
      expect((await post(operator, '/v1/approvals', input)).status).toBe(202);
      return { path: `/v1/approvals/${input.approvalId}`, approvalId: input.approvalId };
    }
    const decisionBy = (by: TestCaller, decision = 'approve') => ({ approver: by.id, decision });
    const closed = (approvalId: string) =>
      shop.client.workflow
        .getHandle(approvalWorkflowId(approvalId))
        .result()
        .catch(() => undefined);

    test('shows an approval to its approvers and to operators, but not to other callers', async () => {
      const { path, approvalId } = await startApproval({ requestedBy: 'nobody' });
      const missingId = randomUUID();
      const missing = await get(otherCaller, `/v1/approvals/${missingId}`);

      for (const by of [lead, boss, operator]) expect((await get(by, path)).status).toBe(200);
      expectNotFound(await get(otherCaller, path), approvalId, missing, missingId);
      expect((await get(ada, path)).status).toBe(403);
    });

    test('requesters see their own approvals, and cannot request an approval in another name (403)', async () => {
      const stages = [makeStage({ id: lead.id })];
      const own = makeApproval({ stages, requestedBy: otherCaller.id });
      expect((await post(otherCaller, '/v1/approvals', own)).status).toBe(202);
      expect((await get(otherCaller, `/v1/approvals/${own.approvalId}`)).status).toBe(200);

      const others = makeApproval({ stages, requestedBy: boss.id });
      expect((await post(otherCaller, '/v1/approvals', others)).status).toBe(403);
      expect((await get(operator, `/v1/approvals/${others.approvalId}`)).status).toBe(404);
    });

    test('a caller can decide an approval only in their own name', async () => {
      const { path } = await startApproval();
      for (const by of [boss, otherCaller]) {
        const { status, body } = await post(by, `${path}/decision`, decisionBy(lead));
        expect([status, body.type]).toEqual([403, '/problems/forbidden']);
      }
      expect((await post(operator, `${path}/decision`, decisionBy(operator))).status).toBe(403);
      const own = await post(boss, `${path}/decision`, decisionBy(boss));
      expect([own.status, own.body.type]).toEqual([403, '/problems/self-approval']);

      const { status, body } = await post<ApprovalResource>(lead, `${path}/decision`, decisionBy(lead));
      expect([status, body.decision?.approver]).toEqual([200, lead.id]);
    });

    test('a caller who is not a party of an approval gets 404 for a decision or withdrawal', async () => {
      const { path, approvalId } = await startApproval();
      const missingId = randomUUID();
      for (const [what, json] of [
        ['decision', decisionBy(otherCaller)],
        ['withdraw', {}],
      ] as const) {
        const missing = await post(otherCaller, `/v1/approvals/${missingId}/${what}`, json);
        expectNotFound(await post(otherCaller, `${path}/${what}`, json), approvalId, missing, missingId);
      }
      expect((await get<ApprovalResource>(operator, path)).body).toMatchObject({ status: 'pending', trail: [{}] });
    });

    test('a caller who is not a party of a decided approval gets 404 for a decision', async () => {
      const { path, approvalId } = await startApproval();
      expect((await post(lead, `${path}/decision`, decisionBy(lead))).status).toBe(200);
      await closed(approvalId);
      const missingId = randomUUID();
      const missing = await post(otherCaller, `/v1/approvals/${missingId}/decision`, decisionBy(otherCaller));

      for (const decision of ['approve', 'reject']) {
        const response = await post(otherCaller, `${path}/decision`, decisionBy(otherCaller, decision));
        expectNotFound(response, approvalId, missing, missingId);
      }
    });

    test('the requester can withdraw an approval, but an approver cannot (403)', async () => {
      const { path } = await startApproval();
      const findRejection = await post(lead, `${path}/withdraw`, {});
      expect([findRejection.status, findRejection.body.type]).toEqual([403, '/problems/forbidden']);

      const { status, body } = await post<ApprovalResource>(boss, `${path}/withdraw`, { reason: 'no need' });

      expect([status, body.status]).toEqual([200, 'withdrawn']);
      const others = await startApproval();
      expect((await post(operator, `${others.path}/withdraw`)).status).toBe(200);
    });

    test('an approver lists only the approvals that await their decision, and an operator lists all approvals', async () => {
      const [adasOrderId, other] = [
        await startApproval({ stages: [makeStage({ id: lead.id })] }),
        await startApproval({ requestedBy: lead.id, stages: [makeStage({ id: boss.id })] }),
      ];
      const ids = async (by: TestCaller, query = '') => {
        const { body } = await get<{ items: ApprovalSummary[] }>(by, `/v1/approvals?limit=200${query}`);
        return body.items.map(({ approvalId }) => approvalId);
      };
      const listBoth = async () => {
        const all = await ids(operator);
        return (all.includes(adasOrderId.approvalId) && all.includes(other.approvalId)) || undefined;
      };
      await waitUntil(listBoth, { description: 'both items in the list', timeoutMs: 10_000, intervalMs: 50 });

      for (const query of ['', `&approver=${lead.id}`]) {
        expect(await ids(lead, query)).toContain(adasOrderId.approvalId);
        expect(await ids(lead, query)).not.toContain(other.approvalId);
      }
      expect(await ids(lead, `&requestedBy=${lead.id}`), 'own requests').toContain(other.approvalId);
      for (const query of [`approver=${boss.id}`, `requestedBy=${boss.id}`])
        expect((await get(lead, `/v1/approvals?${query}`)).status).toBe(403);
      expect(await ids(operator, `&approver=${boss.id}`)).toContain(other.approvalId);
    });
  });
});

const isUpdate = ({ type }: { type: string }) => type.startsWith('WorkflowExecutionUpdate');
