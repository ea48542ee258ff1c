import { randomBytes, randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createErasureActivities } from '../../../src/activities/erasure.js';
import type { OrderInput } from '../../../src/schemas/order.js';
import { abandonUpdate, addItemUpdate, cartWorkflowId, checkoutUpdate } from '../../../src/workflows/cart/contract.js';
import { approvalWorkflowId, decideUpdate } from '../../../src/workflows/approval/contract.js';
import { approvalIdOfOrder } from '../../../src/schemas/approval.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { runErase } from '../../../tools/erase/run-erase.js';
import { startApi, type Api } from '../../support/api/api.js';
import { makeProductOrder, placeDeliveredOrder } from '../../support/api/orders.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';
import { waitUntil } from '../../support/processes.js';
import { replayAdvancedRuns } from '../../support/replay/run-tracker.js';
import { makeApproval, makeStage, startApproval } from '../../support/shop/approvals.js';
import { startCart } from '../../support/shop/carts.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { deleteWorkflow, PROMPT_DELETION } from '../../support/temporal/deleted-workflows.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { fetchRawRuns } from '../../support/temporal/raw-runs.js';
import { waitForClose } from '../../support/temporal/resets.js';

const ADDRESS = '5 High Street';

describeOnDevServer('npm run erase', () => {
  let server: Awaited<ReturnType<typeof startDevServer>>;
  let shop: Shop;
  let api: Api;
  beforeAll(async () => {
    server = await startDevServer({ dynamicConfig: PROMPT_DELETION });
    shop = await startShop(server, { queues: ['orders', 'payments', 'carts', 'approvals', 'housekeeping'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function run(...args: string[]): Promise<{ code: number; output: string }> {
    // The replay check needs the histories, so it runs before their deletion.
    await replayAdvancedRuns();
    const lines: string[] = [];
    const print = (text: string) => lines.push(text);
    const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
    return { code: await runErase(args, { env, print, printError: print }), output: lines.join('\n') };
  }
  const containing = (text: string) => expect.stringContaining(text) as string;

  /** All rows of all tables as text, by table. So a new column or table is searched too. */
  async function readAllRows(): Promise<{ table: string; row: string }[]> {
    const tables = await sql<{ name: string }>`
      select table_name as name from information_schema.tables
      where table_schema = 'public' and table_name not like 'kysely%' order by 1`.execute(shop.ownerStore.db);
    const rows = [];
    for (const { name } of tables.rows) {
      const found = await sql<{ row: string }>`select to_jsonb(t)::text as row from ${sql.table(name)} t`.execute(
        shop.ownerStore.db,
      );
      rows.push(...found.rows.map(({ row }) => ({ table: name, row })));
    }
    return rows.sort((one, other) => (one.row < other.row ? -1 : 1));
  }
  const containsAny = (text: string, words: string[]) => words.some((word) => text.includes(word));
  const tablesWith = async (words: string[]) =>
    [...new Set((await readAllRows()).filter(({ row }) => containsAny(row, words)).map(({ table }) => table))].sort();
  const runsWith = async (words: string[]) => {
    const runs = await fetchRawRuns(shop.client.connection, shop.client.options.namespace).catch(() => undefined);
    return runs?.flatMap(({ workflowId, history, visibility }) =>
      containsAny(history.toString('latin1') + visibility.toString('latin1'), words) ? [workflowId] : [],
    );
  };
  const untilNoRunWith = (words: string[]) =>
    waitUntil(async () => (await runsWith(words))?.length === 0 || undefined, {
      description: 'the deletion of all workflows of the person',
      timeoutMs: 60_000,
    });
  const untilListedAsClosed = (workflowIds: string[]) =>
    waitUntil(
      async () => {
        const query = `WorkflowId in (${workflowIds.map((id) => `'${id}'`).join(', ')}) and ExecutionStatus = 'Running'`;
        return (await shop.client.workflow.count(query)).count === 0 || undefined;
      },
      { description: 'only closed workflows in visibility', timeoutMs: 60_000 },
    );

  /** Outcomes, amounts and stock, which the erasure must keep. */
  async function readLedger() {
    const orders = await sql`
      select order_id, first_run_id, run_id, status, stage, reservation, lines, total_value, total_currency, placed_at,
        updated_at, closed_at, rolled_back_at from orders order by order_id`.execute(shop.ownerStore.db);
    const products = await sql`select * from products order by sku`.execute(shop.ownerStore.db);
    const ids = await sql`
      select 'cart' as kind, first_run_id as id, order_id, status from carts
      union all select 'approval', approval_id, first_run_id, status from approvals
      union all select 'message', message_id, approval_id, '' from approval_messages order by 1, 2`.execute(
      shop.ownerStore.db,
    );
    return { orders: orders.rows, products: products.rows, ids: ids.rows };
  }

  /** Places an order with an approval by an approver who writes a comment. */
  async function placeApprovedOrder(customerId: string, comment: string): Promise<OrderInput> {
    const product = await addProduct(shop.store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
    const order = makeOrder({ customerId, lines: [{ sku: product.sku, quantity: 1 }] });
    expect(await api.post('/v1/orders', order)).toMatchObject({ status: 202 });
    await api.waitForOrderStage(order.orderId, 'awaiting_approval');
    const approval = shop.client.workflow.getHandle(approvalWorkflowId(approvalIdOfOrder(order.orderId)));
    await waitUntil(() => approval.describe().catch(() => undefined), {
      description: 'the approval',
      timeoutMs: 20_000,
    });
    await approval.executeUpdate(decideUpdate, { args: [{ approver: 'shift-lead', decision: 'approve', comment }] });
    await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
    await deliverParcel(shop.fakes, order.orderId);
    await api.waitForOrderStatus(order.orderId, 'completed');
    return order;
  }

  async function checkOutCart(cartId: string, customerId: string | undefined): Promise<string> {
    const product = await addProduct(shop.store);
    const cart = await startCart(shop.client, { cartId, ...(customerId !== undefined && { customerId }) });
    await cart.executeUpdate(addItemUpdate, { args: [{ sku: product.sku, quantity: 1 }] });
    const view = await cart.executeUpdate(checkoutUpdate, { args: [{ payment: { token: 'tok_ok' } }] });
    await shop.store.addNotification({ key: `${view.orderId}:cart_reminder:1`, cartId, kind: 'cart_reminder' });
    await api.waitForOrderStage(view.orderId!, 'awaiting_pickup');
    await deliverParcel(shop.fakes, view.orderId!);
    await api.waitForOrderStatus(view.orderId!, 'completed');
    await waitForClose(cart);
    return view.orderId!;
  }

  test('erases a person in all tables and histories, and keeps amounts, ids and the data of others', async () => {
    const ada = `ada-${randomUUID().slice(0, 8)}`;
    const email = `${ada}@example.com`;
    const words = [ada, ADDRESS];
    const bob = `bob-${randomUUID().slice(0, 8)}`;
    await placeDeliveredOrder({ shop, api }, { customerId: bob });
    await checkOutCart(randomUUID(), bob);
    const { order: completed, product } = await placeDeliveredOrder({ shop, api }, { customerId: ada });
    const approved = await placeApprovedOrder(ada, `deliver to ${ADDRESS}`);
    const { order: cancelled } = await makeProductOrder(shop, { customerId: ada });
    expect(await api.post('/v1/orders', cancelled)).toMatchObject({ status: 202 });
    await api.waitForOrderStage(cancelled.orderId, 'awaiting_pickup');
    const cancellation = { reason: `moves to ${ADDRESS}, writes to ${email}` };
    await api.request('POST', `/v1/orders/${cancelled.orderId}/cancel`, {
      headers: { 'idempotency-key': randomUUID() },
      json: cancellation,
    });
    await api.waitForOrderStatus(cancelled.orderId, 'cancelled');
    const rejected = makeOrder({ customerId: ada, lines: [{ sku: 'UNKNOWN', quantity: 1 }] });
    await api.post('/v1/orders', rejected);
    await api.waitForOrderStatus(rejected.orderId, 'rejected');
    const ordersOfCarts = [await checkOutCart(randomUUID(), ada), await checkOutCart(ada, undefined)];
    const idleCartId = randomUUID();
    const idleCart = await startCart(shop.client, { cartId: idleCartId, customerId: ada });
    await idleCart.executeUpdate(addItemUpdate, { args: [{ sku: product.sku, quantity: 1 }] });
    await idleCart.executeUpdate(abandonUpdate, { args: [{}] });
    const approver = { id: ada, email };
    const requested = makeApproval({
      requestedBy: ada,
      description: `a sign at ${ADDRESS}`,
      stages: [makeStage({ id: bob })],
    });
    const decided = makeApproval({ requestedBy: bob, title: 'A lamp?', stages: [makeStage(approver)] });
    for (const approval of [requested, decided]) {
      const handle = await startApproval(shop.client, approval);
      const id = approval === requested ? bob : ada;
      await handle.executeUpdate(decideUpdate, {
        args: [{ approver: id, decision: 'approve', comment: `seen at ${ADDRESS}` }],
      });
      await handle.result();
      await shop.store.addApprovalComment(approval.approvalId, {
        at: new Date().toISOString(),
        event: 'commented',
        stage: 1,
        approver: id,
        comment: `again at ${ADDRESS}`,
      });
    }
    const { order: open } = await makeProductOrder(shop, { customerId: ada });
    await api.post('/v1/orders', open);
    await api.waitForOrderStage(open.orderId, 'awaiting_pickup');
    const orderIds = [completed, approved, cancelled, rejected, open].map(({ orderId }) => orderId);
    const closedIds = [
      ...[...orderIds.slice(0, 4), ...ordersOfCarts].map(orderWorkflowId),
      cartWorkflowId(idleCartId),
      cartWorkflowId(ada),
      approvalWorkflowId(decided.approvalId),
    ];
    await untilListedAsClosed(closedIds);
    expect(await tablesWith(words)).toEqual(['approvals', 'carts', 'idempotency_keys', 'notifications', 'orders']);
    expect(await runsWith(words)).toEqual(expect.arrayContaining(closedIds));

    const before = await readAllRows();
    const blocked = await run('customer', ada, '--yes');
    expect(blocked).toEqual({ code: 1, output: containing(`order ${open.orderId}: `) });
    expect(await readAllRows()).toEqual(before);
    await deliverParcel(shop.fakes, open.orderId);
    await api.waitForOrderStatus(open.orderId, 'completed');
    await untilListedAsClosed([orderWorkflowId(open.orderId)]);

    const complete = await readAllRows();
    const ledger = await readLedger();
    const counts = '7 orders, 3 carts, 3 approvals, 1 stored responses';
    expect(await run('customer', ada)).toEqual({ code: 0, output: containing(`Found: ${counts}`) });
    expect(await readAllRows()).toEqual(complete);
    expect(await run('customer', ada, '--yes')).toEqual({ code: 0, output: containing(`Erased: ${counts}`) });

    expect(await tablesWith(words)).toEqual([]);
    await untilNoRunWith(words);
    expect(await readLedger()).toEqual(ledger);
    const erased = await readAllRows();
    const ofOthers = complete.filter(({ row }) => !containsAny(row, words));
    expect(erased.map(({ row }) => row)).toEqual(
      expect.arrayContaining(
        ofOthers.filter(({ row }) => !ordersOfCarts.some((id) => row.includes(id))).map(({ row }) => row),
      ),
    );
    expect((await shop.store.findApproval(decided.approvalId))?.finalView).toMatchObject({
      status: 'approved',
      title: 'A lamp?',
      requestedBy: bob,
      decision: { approver: '<erased>', decision: 'approve' },
    });
    expect((await shop.store.findApproval(requested.approvalId))?.finalView).toMatchObject({
      status: 'approved',
      decision: { approver: bob, decision: 'approve' },
    });
    const shown = await api.get(`/v1/orders/${cancelled.orderId}`);
    expect(shown).toMatchObject({ status: 200, body: { status: 'cancelled', reason: { type: 'Cancelled' } } });
    expect(shown.body).not.toHaveProperty('customerId');
    expect(await api.get('/v1/orders?limit=100')).toMatchObject({ status: 200 });

    expect(await run('customer', ada, '--yes')).toEqual({
      code: 0,
      output: containing('Erased: 0 orders, 0 carts, 0 approvals, 0 stored responses, 0 closed workflow runs'),
    });
    expect(await readAllRows()).toEqual(erased);

    const reused = { ...completed, customerId: bob };
    expect(await api.post('/v1/orders', reused)).toMatchObject({
      status: 409,
      body: { type: '/problems/order-id-taken' },
    });
    const direct = await shop.client.workflow.start('order', {
      workflowId: orderWorkflowId(completed.orderId),
      taskQueue: 'orders',
      args: [reused],
    });
    expect(await direct.result()).toMatchObject({ status: 'rejected', reason: { type: 'OrderIdTaken' } });
    expect(await readAllRows()).toEqual(erased);
  });

  test('continues an erasure that was interrupted', async () => {
    const carol = `carol-${randomUUID().slice(0, 8)}`;
    const orders = [];
    for (let number = 1; number <= 3; number += 1)
      orders.push((await placeDeliveredOrder({ shop, api }, { customerId: carol })).order.orderId);
    await checkOutCart(carol, undefined);
    await untilListedAsClosed([...orders.map(orderWorkflowId), cartWorkflowId(carol)]);
    const [deleted, erased] = orders as [string, string];
    for (const orderId of [deleted, erased]) await deleteWorkflow(shop.client, orderWorkflowId(orderId));
    await shop.store.erasePerson(carol, {
      orders: [{ orderId: erased, isOpen: false }],
      carts: [],
      approvals: [],
      responseCount: 0,
    });

    expect(await run('customer', carol, '--yes')).toEqual({ code: 0, output: containing('Erased: 3 orders, 1 carts') });

    expect(await tablesWith([carol])).toEqual([]);
    await untilNoRunWith([carol]);
  });

  test.each(['api', 'approver'])('erases only the person fields that equal the id %s', async (person) => {
    const bob = `bob-${randomUUID().slice(0, 8)}`;
    const addResponse = async (body: unknown) => {
      const scope = randomBytes(32);
      const claim = await shop.store.claimIdempotencyKey(scope, Buffer.from('content'));
      if (claim.outcome !== 'claimed') throw new Error('the key is taken');
      await shop.store.storeIdempotentResponse(scope, claim.claimId, {
        status: 200,
        headers: {},
        body: JSON.stringify(body),
      });
    };
    const approve = async (requestedBy: string) => {
      const approval = makeApproval({ requestedBy, stages: [makeStage({ id: bob })] });
      const handle = await startApproval(shop.client, approval);
      await handle.executeUpdate(decideUpdate, { args: [{ approver: bob, decision: 'approve', via: 'api' }] });
      await addResponse(await handle.result());
      return approval.approvalId;
    };
    const ofOther = await approve('somebody');
    const before = await readAllRows();
    const ofPerson = await approve(person);
    await untilListedAsClosed([approvalWorkflowId(ofPerson)]);

    expect(await run('customer', person, '--yes')).toEqual({
      code: 0,
      output: containing('Erased: 0 orders, 0 carts, 1 approvals, 1 stored responses'),
    });

    expect((await readAllRows()).filter(({ row }) => !row.includes(ofPerson))).toEqual(before);
    expect(await api.get(`/v1/approvals/${ofOther}`)).toMatchObject({ status: 200, body: { requestedBy: 'somebody' } });
    expect(await api.get(`/v1/approvals/${ofPerson}`)).toMatchObject({
      status: 200,
      body: { status: 'approved', requestedBy: '<erased>', decision: { approver: bob, via: 'api' } },
    });
  });

  test('erases no record when work of the person opens after the first check', async () => {
    const dave = `dave-${randomUUID().slice(0, 8)}`;
    await placeDeliveredOrder({ shop, api }, { customerId: dave });
    const { order: open, product } = await makeProductOrder(shop, { customerId: dave });
    await api.post('/v1/orders', open);
    await api.waitForOrderStage(open.orderId, 'awaiting_pickup');
    const approval = makeApproval({ requestedBy: dave, stages: [makeStage({ id: 'grace' })] });
    const pending = await startApproval(shop.client, approval);
    await waitUntil(() => shop.store.findApproval(approval.approvalId), {
      description: 'the record of the approval',
      timeoutMs: 20_000,
    });
    const cartId = randomUUID();
    const cart = await startCart(shop.client, { cartId, customerId: dave });
    await cart.executeUpdate(addItemUpdate, { args: [{ sku: product.sku, quantity: 1 }] });
    const before = await readAllRows();
    const { erasePersonalRecords } = createErasureActivities({ store: shop.store });
    const worker = new MockActivityEnvironment(undefined, { client: shop.client });

    const result: unknown = await worker.run(erasePersonalRecords, { customerId: dave });
    const blocked = result as Awaited<ReturnType<typeof erasePersonalRecords>>;

    expect(await readAllRows()).toEqual(before);
    expect(blocked?.open.map(({ kind, id }) => `${kind} ${id}`).sort()).toEqual([
      `approval ${approval.approvalId}`,
      `cart ${cartId}`,
      `order ${open.orderId}`,
    ]);
    const orders = [{ orderId: open.orderId, isOpen: false }];
    await shop.store.erasePerson(dave, { orders, carts: [], approvals: [], responseCount: 0 });
    expect(await shop.store.findOrder(open.orderId)).toMatchObject({ customerId: dave });

    await cart.executeUpdate(abandonUpdate, { args: [{}] });
    await pending.executeUpdate(decideUpdate, { args: [{ approver: 'grace', decision: 'reject' }] });
    await pending.result();
    await deliverParcel(shop.fakes, open.orderId);
    await api.waitForOrderStatus(open.orderId, 'completed');
    await untilListedAsClosed([orderWorkflowId(open.orderId), pending.workflowId, cart.workflowId]);
    expect(await run('customer', dave, '--yes')).toEqual({
      code: 0,
      output: containing('Erased: 2 orders, 1 carts, 1 approvals'),
    });
    expect(await tablesWith([dave])).toEqual([]);
    await waitUntil(
      () =>
        shop.client.workflow
          .getHandle('erase')
          .describe()
          .then(
            () => undefined,
            () => true,
          ),
      {
        description: 'the deletion of the run of the command',
        timeoutMs: 20_000,
      },
    );
  });

  test.each([
    ['no person', [], 'Name the person'],
    ['an id that no caller can have', ['customer', 'ada lovelace'], 'invalid input: /customerId'],
    ['an option that does not exist', ['customer', 'ada', '--force'], 'Usage: npm run erase'],
  ])('exits with 2 and says why for %s', async (_what, args, reason) => {
    expect(await run(...args)).toEqual({ code: 2, output: containing(reason) });
  });
});
