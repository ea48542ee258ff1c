import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatMoney } from '../../../src/schemas/shared/money.js';
import type { audit as auditWorkflow } from '../../../src/workflows/housekeeping/audit.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import { ORDER_WORKFLOW_TYPE } from '../../../src/workflows/order/contract.js';
import { newOrderId } from '../../support/fakes/fakes-client.js';
import { waitUntil } from '../../support/processes.js';
import { placeOrder, type PlacedOrder } from '../../support/shop/placed-orders.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { waitForClose } from '../../support/temporal/resets.js';

describeOnDevServer('the audit', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['orders', 'payments', 'approvals', 'housekeeping'] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  let runs = 0;
  const audit = async (...args: [unknown?]) =>
    await shop.client.workflow.execute<typeof auditWorkflow>('audit', {
      workflowId: `audit-${(runs += 1)}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args,
    });

  /** Calls the gateway directly, as another program or a person does. */
  async function callGateway(path: 'charges' | 'refunds', body: { orderId: string }): Promise<Record<string, unknown>> {
    const response = await shop.fakes.app.inject({
      method: 'POST',
      url: `/payments/${path}`,
      headers: { 'idempotency-key': `another-program-${body.orderId}` },
      body,
    });
    expect(response.statusCode).toBe(201);
    return response.json();
  }
  const charge = (orderId: string, value: number) =>
    callGateway('charges', { orderId, amount: { value, currency: 'EUR' }, token: 'tok_ok' } as { orderId: string });

  const untilListedAsRunning = (orders: PlacedOrder[]) =>
    waitUntil(
      async () => {
        const query = `WorkflowType = '${ORDER_WORKFLOW_TYPE}' and ExecutionStatus = 'Running'`;
        return (await shop.client.workflow.count(query)).count === orders.length || undefined;
      },
      { description: 'only the open orders in visibility', timeoutMs: 60_000 },
    );

  const listedForPerson = async (limit = 100) => {
    const orders = await shop.store.listUnreconciledOrders(limit);
    return Object.fromEntries(orders.map(({ orderId, problem }) => [orderId, problem]));
  };

  test('lists the charges and the workflows that differ from the database, until they are corrected', async () => {
    const place = (...args: [Parameters<typeof placeOrder>[1], Parameters<typeof placeOrder>[2]?]) =>
      placeOrder(shop, ...args);
    // The gateway returns at most 100 charges per page.
    for (let number = 1; number <= 100; number += 1) {
      const orderId = newOrderId();
      await charge(orderId, 500);
      await callGateway('refunds', { orderId });
    }
    const unknownId = newOrderId();
    await charge(unknownId, 1999);
    const [open, chargedTwice, chargedWrongly, refunded, refundedOnce, chargedLate, unrecorded, closed] =
      await Promise.all([
        place('awaiting_pickup'),
        place('awaiting_pickup'),
        place('awaiting_approval', { price: ORDER_APPROVAL_THRESHOLD }),
        place('awaiting_pickup'),
        place('awaiting_pickup'),
        place('awaiting_approval', { price: ORDER_APPROVAL_THRESHOLD }),
        place('awaiting_pickup'),
        place('awaiting_pickup'),
      ]);
    const idOf = ({ input: { orderId } }: PlacedOrder) => orderId;
    const [firstCharge] = shop.fakes.records(idOf(chargedTwice)).charges;
    const secondCharge = await charge(idOf(chargedTwice), 2500);
    await charge(idOf(chargedWrongly), 100);
    await refunded.handle.cancel();
    expect(await waitForClose(refunded.handle)).toBe('CANCELLED');
    // The order refunds only the newest of two charges.
    await charge(idOf(refundedOnce), 2500);
    await refundedOnce.handle.cancel();
    expect(await waitForClose(refundedOnce.handle)).toBe('CANCELLED');
    // The gateway voids the order, but accepts a late charge.
    await chargedLate.handle.cancel();
    expect(await waitForClose(chargedLate.handle)).toBe('CANCELLED');
    const total = { value: 2 * ORDER_APPROVAL_THRESHOLD, currency: 'EUR' };
    const late = { chargeId: `ch_${idOf(chargedLate)}`, key: idOf(chargedLate), status: 'succeeded' as const };
    const request = { orderId: idOf(chargedLate), amount: total, token: 'tok_ok' };
    const at = new Date().toISOString();
    const voided = { at, key: 'void', request: { orderId: request.orderId }, outcome: { status: 'voided' as const } };
    shop.fakes.ledger.append({ type: 'refund', refund: voided });
    shop.fakes.ledger.append({ type: 'charge', charge: { at, request, ...late } });
    // An old backup of the database does not have the order.
    await shop.ownerStore.db.deleteFrom('orders').where('order_id', '=', idOf(unrecorded)).execute();
    const { firstExecutionRunId } = closed.handle as unknown as { firstExecutionRunId: string };
    await shop.store.rollBackOrder({ orderId: idOf(closed), firstRunId: firstExecutionRunId });
    await untilListedAsRunning([open, chargedTwice, chargedWrongly, unrecorded, closed]);

    const result = await audit();

    expect(result).toMatchObject({ chargeCount: 111, workflowCount: 5, isComplete: true });
    const expected = {
      [unknownId]: 'the gateway charged €19.99, and the database has no record of the order',
      [idOf(chargedTwice)]:
        `the gateway charged the order twice: ${firstCharge!.chargeId} and ${String(secondCharge['chargeId'])}`,
      [idOf(chargedWrongly)]: `the gateway charged €1.00, and the total is ${formatMoney(total)}`,
      [idOf(refundedOnce)]: 'the order is cancelled, and its charge of €25.00 is not refunded',
      [idOf(chargedLate)]: `the order is cancelled, and its charge of ${formatMoney(total)} is not refunded`,
      [idOf(unrecorded)]: 'its workflow is running, and the database has no record of the order',
      [idOf(closed)]: 'the order is failed in the database, and its workflow is running',
    };
    expect(await listedForPerson()).toEqual(expected);

    await callGateway('refunds', { orderId: unknownId });
    delete expected[unknownId];
    expect((await audit()).isComplete).toBe(true);
    expect(await listedForPerson()).toEqual(expected);
  });

  /** Adds a charge of an order that the database does not have. */
  function appendCharge(orderId: string, daysAgo: number): void {
    const at = new Date(Date.now() - daysAgo * 24 * 60 * 60_000).toISOString();
    const request = { orderId, amount: { value: 700, currency: 'EUR' }, token: 'tok_ok' };
    const charge = { at, request, chargeId: `ch_${orderId}`, key: orderId, status: 'succeeded' as const };
    shop.fakes.ledger.append({ type: 'charge', charge });
  }

  test('keeps an old finding until its charge is refunded, and removes a finding without a charge', async () => {
    const [old, voided] = [newOrderId(), newOrderId()];
    appendCharge(old, 4);
    const findings = [old, voided].map((orderId) => ({ orderId, problem: 'found by an earlier audit' }));
    await shop.store.recordAuditFindings({ findings, isComplete: false, runId: 'earlier' });

    expect((await audit()).isComplete).toBe(true);
    const listed = await listedForPerson();
    expect(listed[old]).toBe('the gateway charged €7.00, and the database has no record of the order');
    expect(listed).not.toHaveProperty(voided);

    await callGateway('refunds', { orderId: old });
    expect((await audit()).isComplete).toBe(true);
    expect(await listedForPerson()).not.toHaveProperty(old);
  });

  test('with more old findings than a run looks up, compares all charges and keeps the findings not looked up', async () => {
    const problem = 'found by an earlier audit';
    const unknown = 'the gateway charged €7.00, and the database has no record of the order';
    const old = Array.from({ length: 501 }, newOrderId);
    for (const orderId of old) appendCharge(orderId, 4);
    const recent = Array.from({ length: 201 }, newOrderId);
    for (const orderId of recent) appendCharge(orderId, 0.01);
    const [refunded, ...notRefunded] = old as [string, ...string[]];
    await callGateway('refunds', { orderId: refunded });
    // Removes the findings of the other tests.
    await shop.store.recordAuditFindings({ findings: [], isComplete: true, runId: 'clear' });
    await shop.store.recordAuditFindings({ findings: [{ orderId: refunded, problem }], isComplete: false, runId: 'a' });
    const findings = notRefunded.map((orderId) => ({ orderId, problem }));
    await shop.store.recordAuditFindings({ findings, isComplete: false, runId: 'b' });

    expect((await audit()).isComplete).toBe(false);
    const listed = await listedForPerson(1_000);
    expect(recent.filter((orderId) => listed[orderId] !== unknown)).toEqual([]);
    expect(listed).not.toHaveProperty(refunded);
    const problems = notRefunded.map((orderId) => listed[orderId]);
    expect(problems.filter((listedProblem) => listedProblem === unknown)).toHaveLength(499);
    const notLookedUp = notRefunded.filter((orderId) => listed[orderId] === problem);
    expect(notLookedUp).toHaveLength(1);

    // The next run looks up the findings first that the last run did not look up.
    await audit();
    const listedLater = await listedForPerson(1_000);
    expect(notRefunded.filter((orderId) => listedLater[orderId] !== unknown)).toEqual([]);
  });

  test('with more events than a run checks, keeps the findings of earlier runs', async () => {
    // Removes the findings of the other tests.
    await shop.store.recordAuditFindings({ findings: [], isComplete: true, runId: 'clear' });
    const orderId = newOrderId();
    const findings = [{ orderId, problem: 'the customer disputes the charge pi_1' }];
    await shop.store.recordAuditFindings({ findings, isComplete: false, runId: 'earlier' });
    await sql`
      insert into payment_events (event_id, type, charge_id, dispute_id)
      select 'evt_' || n, 'dispute_opened', 'pi_unknown_' || n, 'dp_' || n from generate_series(1, 501) as n`.execute(
      shop.ownerStore.db,
    );

    expect((await audit()).isComplete).toBe(false);
    expect(await listedForPerson(1_000)).toHaveProperty(orderId);

    await shop.ownerStore.db.deleteFrom('payment_events').where('event_id', '=', 'evt_1').execute();
    await audit();
    expect(await listedForPerson(1_000)).not.toHaveProperty(orderId);
  });

  test('an option that does not exist is an error', async () => {
    await expect(audit({ dryRun: true })).rejects.toMatchObject({ cause: { cause: { type: 'InvalidInput' } } });
  });
});
