import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TemporalFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OrderInput, OrderResource, OrderView } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { rootFailure } from '../../../src/workflows/shared/failures.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { readBalance } from '../../support/shop/balance.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';

describeOnDevServer('an order used with the Temporal CLI', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const cli = (...args: string[]) => runTemporalCli(server, ...args);
  const handleOf = (workflowId: string) => shop.client.workflow.getHandle<typeof orderWorkflow>(workflowId);

  async function startByCli(workflowId: string, ...input: string[]): Promise<void> {
    const type = ['--type', 'order', '--task-queue', 'orders'];
    const { code, stderr } = await cli('workflow', 'start', ...type, '--workflow-id', workflowId, ...input);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }

  interface Sale {
    order: OrderInput;
    product: Product;
    workflowId: string;
    shipmentId: string;
    /** The order as the API returned it while the order awaited the pickup. */
    seen: OrderResource;
  }

  /** Starts an order by CLI and waits until the order awaits the pickup. */
  async function placeShippedOrder(): Promise<Sale> {
    const product = await addProduct(shop.store);
    const order = makeOrder({ lines: [{ sku: product.sku, quantity: 2 }] });
    const workflowId = orderWorkflowId(order.orderId);
    await startByCli(workflowId, '--input', JSON.stringify(order));
    const seen = await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
    return { order, product, workflowId, shipmentId: seen.shipment!.shipmentId, seen };
  }

  /** Waits until a workflow closes. @throws after a failed workflow task, which Temporal would retry forever. */
  async function waitForEnd(workflowId: string): Promise<OrderView> {
    let outcome: { end: Promise<OrderView> } | undefined;
    let failed = false;
    const handle = handleOf(workflowId);
    const result = handle.result();
    const decideIfStuck = () => {
      outcome = { end: result };
    };
    result.then(decideIfStuck, decideIfStuck);
    const poll = async () => {
      failed = !outcome && (await typesIn(workflowId)).includes('WorkflowTaskFailed');
      return outcome;
    };
    const giveUp = () => {
      if (failed) throw new Error(`a workflow task of ${workflowId} failed, and Temporal would retry it forever`);
    };
    try {
      const { end } = await waitUntil(poll, {
        description: `the end of ${workflowId}`,
        timeoutMs: 10_000,
        throwIfFailed: giveUp,
      });
      return await end;
    } finally {
      // Otherwise `result` would stay pending, and the client would retry the call after the connection closes.
      if (!outcome) await handle.terminate();
      await result.catch(() => undefined);
    }
  }

  async function deliverOrder({ order, workflowId }: Sale): Promise<OrderView> {
    expect(await deliverParcel(shop.fakes, order.orderId)).toMatchObject([{ status: 202 }, { status: 202 }]);
    return await waitForEnd(workflowId);
  }

  const readVerdict = async ({ order, product }: Sale) =>
    (await readBalance(shop, { ...order, products: [product], token: order.payment.token })).verdict;

  const typesIn = async (workflowId: string) =>
    (await fetchEventSummaries(handleOf(workflowId))).map(({ type }) => type);

  test('an order that the CLI starts completes like an order over HTTP', async () => {
    const sale = await placeShippedOrder();

    const view = await deliverOrder(sale);

    expect(view).toMatchObject({ orderId: sale.order.orderId, status: 'completed' });
    expect(await readVerdict(sale)).toBe('sold');
    const { code, stdout } = await cli('workflow', 'list', '--query', `CustomerId = '${sale.order.customerId}'`);
    expect(code).toBe(0);
    expect(stdout).toContain(sale.workflowId);
  });

  describe('invalid order input', () => {
    const orderId = () => randomUUID();
    const validInput = (id: string) => ({ ...makeOrder({ lines: [{ sku: 'ANY', quantity: 1 }] }), orderId: id });
    const withQuantity = (id: string, quantity: unknown) => ({ ...validInput(id), lines: [{ sku: 'ANY', quantity }] });
    const json = (value: unknown) => ['--input', JSON.stringify(value)];

    test.each<[string, (id: string) => string[], string[], ((id: string) => string)?]>([
      ['there is no input', () => [], ['']],
      ['there are no lines', (id) => json({ ...validInput(id), lines: undefined }), ['/lines']],
      ['a quantity is negative', (id) => json(withQuantity(id, -1)), ['/lines/0/quantity']],
      ['a quantity is the word "two"', (id) => json(withQuantity(id, 'two')), ['/lines/0/quantity']],
      ['the input is a string', () => json('order'), ['']],
      ['the input is null', () => json(null), ['']],
      ['the input is an array', (id) => json([validInput(id)]), ['']],
      ['a field is unknown', (id) => json({ ...validInput(id), total: 1 }), ['/total']],
      // A NUL character makes the whole payload unreadable, so the error points to the root.
      ['the token has a NUL character', (id) => json({ ...validInput(id), payment: { token: '\0' } }), ['']],
      [
        'every field is invalid',
        () => json({ orderId: 7, lines: [], deliveryTimeoutSeconds: 'soon' }),
        ['/customerId', '/deliveryTimeoutSeconds', '/lines', '/orderId', '/payment'],
      ],
      [
        'the workflow id is of another order',
        (id) => json(validInput(id)),
        ['/orderId'],
        () => `order:${randomUUID()}`,
      ],
      ['the workflow id has no prefix', (id) => json(validInput(id)), ['/orderId'], (id) => id],
    ])(
      'an order fails at once as InvalidInput with a list of problems when %s',
      async (_description, inputOf, pointers, workflowIdOf = orderWorkflowId) => {
        const id = orderId();
        const workflowId = workflowIdOf(id);

        await startByCli(workflowId, ...inputOf(id));

        const ended = await waitForEnd(workflowId).catch(rootCauseOf);
        expect(ended).toBeInstanceOf(ApplicationFailure);
        const { type, details } = ended as ApplicationFailure;
        expect(type).toBe('InvalidInput');
        const problems = details?.[0] as { pointer: string; detail: string }[];
        expect(problems.map(({ pointer }) => pointer).sort()).toEqual(pointers);
        for (const { detail } of problems) expect(detail).not.toBe('');
        const { status, startTime, closeTime } = await handleOf(workflowId).describe();
        expect(status.name).toBe('FAILED');
        expect(closeTime!.getTime() - startTime.getTime()).toBeLessThan(5_000);
        const events = await fetchEventSummaries(handleOf(workflowId));
        expect(events.map(({ type }) => type)).not.toContain('WorkflowTaskFailed');
        // The first activity rejects the input, so no other activity runs.
        const scheduled = events.filter(({ type }) => type === 'ActivityTaskScheduled');
        expect(scheduled.map(({ name }) => name)).toEqual(['reserveStock']);
      },
    );

    test('the API shows an order with invalid input as failed, with the reason', async () => {
      const id = orderId();
      await startByCli(orderWorkflowId(id), ...json(withQuantity(id, -1)));

      const failed = await api.waitForOrderStatus(id, 'failed');

      expect(failed).toMatchObject({ stage: 'done', reason: { type: 'InvalidInput' }, compensations: [] });
      expect(failed.reason!.message).toContain('/lines/0/quantity');
    });
  });

  describe('cancelling an order by CLI', () => {
    test('a workflow cancellation compensates the order, and Temporal and the API show the order as cancelled', async () => {
      const sale = await placeShippedOrder();

      expect(await cli('workflow', 'cancel', '--workflow-id', sale.workflowId)).toMatchObject({ code: 0 });

      const ended = await waitForEnd(sale.workflowId).catch(rootCauseOf);
      expect(ended).toBeInstanceOf(CancelledFailure);
      expect((await handleOf(sale.workflowId).describe()).status.name).toBe('CANCELLED');
      const order = await api.waitForOrderStatus(sale.order.orderId, 'cancelled');
      expect(order.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['cancelShipment', 'completed'],
        ['refundPayment', 'completed'],
        ['releaseStock', 'completed'],
      ]);
      expect(await readVerdict(sale)).toBe('rolled back');
    });

    test.each([[[]], [['--input', '{}']], [['--input', '{"reason":"too many mugs"}']], [['--input', 'null']]])(
      'the update cancelOrder with the CLI arguments %j compensates the order',
      async (input) => {
        const sale = await placeShippedOrder();
        const update = ['--workflow-id', sale.workflowId, '--name', 'cancelOrder', ...input];

        expect(await cli('workflow', 'update', 'execute', ...update)).toMatchObject({ code: 0 });

        expect(await handleOf(sale.workflowId).result()).toMatchObject({ status: 'cancelled' });
        expect(await readVerdict(sale)).toBe('rolled back');
      },
    );
  });

  describe('decisions about a stuck compensation', () => {
    /** Places and cancels an order whose refund the gateway rejects once, and waits until the refund is stuck. */
    async function placeStuckOrder(): Promise<Sale> {
      const sale = await placeShippedOrder();
      const { orderId } = sale.order;
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400 });
      await cli('workflow', 'cancel', '--workflow-id', sale.workflowId);
      await api.waitForOrderStatus(orderId, 'compensation_stuck');
      return sale;
    }

    const decision = (action: unknown) => ({ compensation: 'refundPayment', attempt: 1, action });

    const resolve = ({ workflowId }: Sale, ...input: string[]) =>
      cli('workflow', 'update', 'execute', '--workflow-id', workflowId, '--name', 'resolveCompensation', ...input);

    test.each([
      ['retry', 'completed'],
      ['skip', 'skipped'],
    ])('an order with a stuck refund closes after the decision %s', async (action, outcome) => {
      const sale = await placeStuckOrder();
      const { orderId } = sale.order;

      expect(await resolve(sale, '--input', JSON.stringify(decision(action)))).toMatchObject({ code: 0 });

      const order = await api.waitForOrderStatus(orderId, 'cancelled');
      expect(order.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['cancelShipment', 'completed'],
        ['refundPayment', outcome],
        ['releaseStock', 'completed'],
      ]);
      expect(shop.fakes.records(orderId).refunds).toHaveLength(action === 'retry' ? 1 : 0);
    });

    test('a stuck refund ignores malformed decisions and is retried after a valid decision', async () => {
      const sale = await placeStuckOrder();
      const { orderId } = sale.order;
      const values = [null, 'retry', ['skip'], {}, { action: 'retry' }, decision('explode'), decision(1)];
      const malformed = [[], ...values.map((value) => [JSON.stringify(value)])];

      for (const inputs of malformed) {
        const { code, stderr } = await resolve(sale, ...inputs.flatMap((input) => ['--input', input]));
        expect(code).not.toBe(0);
        expect(stderr).toContain('InvalidInput');
      }

      await api.waitForOrderStatus(orderId, 'compensation_stuck');
      const refunds = () => shop.fakes.records(orderId).requests.filter(({ path }) => path === '/payments/refunds');
      expect(refunds()).toHaveLength(1);
      expect(await resolve(sale, '--input', JSON.stringify(decision('retry')))).toMatchObject({ code: 0 });
      await api.waitForOrderStatus(orderId, 'cancelled');
      expect(await readVerdict(sale)).toBe('rolled back');
      expect(await typesIn(sale.workflowId)).not.toContain('WorkflowTaskFailed');
    });
  });

  describe('malformed messages', () => {
    /** Expects that the order still completes, without a failed workflow task. */
    async function expectUnharmed(sale: Sale): Promise<void> {
      expect(await deliverOrder(sale)).toMatchObject({ status: 'completed', compensations: [] });
      expect(await readVerdict(sale)).toBe('sold');
      expect(await typesIn(sale.workflowId)).not.toContain('WorkflowTaskFailed');
    }

    /** Expects that the messages did not change the order. */
    async function expectUntouched({ order, seen }: Sale): Promise<void> {
      expect((await api.get<OrderResource>(`/v1/orders/${order.orderId}`)).body).toEqual(seen);
    }

    // Except for `change`, this report is valid, so if the order ignores the report, the change is the reason.
    const report = ({ order: { orderId }, shipmentId }: Sale, change: object) => [
      '--input',
      JSON.stringify({ orderId, shipmentId, status: 'lost', ...change }),
    ];

    const signals: [string, (sale: Sale) => string[]][] = [
      ['without input', () => []],
      ['with null', () => ['--input', 'null']],
      ['with a string', () => ['--input', '"lost"']],
      ['with a number', () => ['--input', '0']],
      ['with an array', () => ['--input', '["lost"]']],
      ['with an empty object', () => ['--input', '{}']],
      ['with a status that does not exist', (sale) => report(sale, { status: 'eaten' })],
      ['with a status of the prototype', (sale) => report(sale, { status: 'constructor' })],
      ['without a status', (sale) => report(sale, { status: undefined })],
      ['with a number for the shipment', (sale) => report(sale, { shipmentId: 5 })],
      ['without the shipment', (sale) => report(sale, { shipmentId: undefined })],
      ['about another order', (sale) => report(sale, { orderId: randomUUID() })],
      ['without the order', (sale) => report(sale, { orderId: undefined })],
      ['with two inputs', () => ['--input', '1', '--input', '2']],
      ['with a payload of type binary/null', () => ['--input', 'x', '--input-meta', 'encoding=binary/null']],
      ['with a payload of type binary/plain', () => ['--input', 'x', '--input-meta', 'encoding=binary/plain']],
    ];
    test.each(signals)('an order ignores a shipmentReported signal %s and completes', async (_description, input) => {
      const sale = await placeShippedOrder();
      const signal = ['--workflow-id', sale.workflowId, '--name', 'shipmentReported', ...input(sale)];

      expect(await cli('workflow', 'signal', ...signal)).toMatchObject({ code: 0 });

      await expectUntouched(sale);
      await expectUnharmed(sale);
    });

    test('an order ignores and counts a shipmentReported signal about another parcel', async () => {
      const sale = await placeShippedOrder();
      const { order, seen, workflowId } = sale;
      const input = report(sale, { shipmentId: 'sh_other' });

      const signal = ['--workflow-id', workflowId, '--name', 'shipmentReported', ...input];
      expect(await cli('workflow', 'signal', ...signal)).toMatchObject({ code: 0 });

      const { body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);
      expect(body).toEqual({ ...seen, ignoredReportCount: 1 });
      await expectUnharmed(sale);
    });

    test('an order ignores an unknown signal and completes', async () => {
      const sale = await placeShippedOrder();
      const signal = ['--workflow-id', sale.workflowId, '--name', 'explode', '--input', '{}'];

      expect(await cli('workflow', 'signal', ...signal)).toMatchObject({ code: 0 });

      await expectUnharmed(sale);
    });

    // The SDK decodes payloads before it calls workflow code. A decoding error must not fail the workflow task.
    test.each(['binary/unknown', 'binary/encrypted', ''])(
      'an order ignores a shipmentReported signal with the payload encoding "%s" and completes',
      async (encoding) => {
        const sale = await placeShippedOrder();
        const input = ['--input', 'x', '--input-meta', `encoding=${encoding}`];
        const signal = ['--workflow-id', sale.workflowId, '--name', 'shipmentReported', ...input];

        expect(await cli('workflow', 'signal', ...signal)).toMatchObject({ code: 0 });

        await expectUnharmed(sale);
      },
    );

    test.each(['binary/unknown'])(
      'an order that is started with the payload encoding "%s" fails as InvalidInput',
      async (encoding) => {
        const workflowId = orderWorkflowId(randomUUID());

        await startByCli(workflowId, '--input', 'x', '--input-meta', `encoding=${encoding}`);

        const ended = await waitForEnd(workflowId).catch(rootCauseOf);
        expect(ended).toMatchObject({ type: 'InvalidInput' });
      },
    );

    const updates: [string, string[]][] = [
      ['resolveCompensation', []],
      ['resolveCompensation', ['--input', 'null']],
      ['resolveCompensation', ['--input', '"retry"']],
      ['resolveCompensation', ['--input', '{"action":"explode"}']],
      ['resolveCompensation', ['--input', '{"action":"retry"}']],
      ['resolveCompensation', ['--input', '{}', '--input-meta', 'encoding=binary/unknown']],
      ['cancelOrder', ['--input', '"please"']],
      ['cancelOrder', ['--input', '[]']],
      ['cancelOrder', ['--input', '5']],
      ['cancelOrder', ['--input', '{"reason":5}']],
      ['cancelOrder', ['--input', `{"reason":"${'x'.repeat(501)}"}`]],
      ['cancelOrder', ['--input', '{"because":"of you"}']],
      ['cancelOrder', ['--input', 'x', '--input-meta', 'encoding=binary/unknown']],
      ['cancelOrder', ['--input', 'x', '--input-meta', 'encoding=binary/plain']],
      ['explode', ['--input', '{}']],
    ];
    test.each(updates)('an order rejects the update %s with %j and completes', async (name, input) => {
      const sale = await placeShippedOrder();

      const { code, stderr } = await cli(
        'workflow',
        'update',
        'execute',
        '--workflow-id',
        sale.workflowId,
        '--name',
        name,
        ...input,
      );

      expect(code).not.toBe(0);
      expect(stderr).toContain('unable to update workflow');
      await expectUntouched(sale);
      await expectUnharmed(sale);
    });

    test.each([
      ['order', ['--input', 'x', '--input-meta', 'encoding=binary/unknown']],
      ['explode', []],
    ])('an order completes after the query %s with %j', async (name, input) => {
      const sale = await placeShippedOrder();

      await cli('workflow', 'query', '--workflow-id', sale.workflowId, '--name', name, ...input);

      await expectUnharmed(sale);
    });
  });
});

/** Returns the root failure of a workflow, without the errors of the client and the activity that wrap it. */
function rootCauseOf(error: unknown): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  return error.cause instanceof TemporalFailure ? rootFailure(error.cause) : error.cause;
}
