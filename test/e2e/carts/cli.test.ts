import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CartView } from '../../../src/schemas/cart.js';
import { cartQuery, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart as cartWorkflow } from '../../../src/workflows/cart/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { newCartId, CartClient, quantitiesOf } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';

describeOnDevServer('a cart used with the Temporal CLI', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let sku: string;
  let other: string;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['carts', 'orders', 'payments'] });
    api = await startApi(shop);
    sku = (await addProduct(shop.store, { available: 2_000 })).sku;
    other = (await addProduct(shop.store)).sku;
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const cli = (...args: string[]) => runTemporalCli(server, ...args);
  const json = (value: unknown) => ['--input', JSON.stringify(value)];
  const handleOf = (workflowId: string) => shop.client.workflow.getHandle<typeof cartWorkflow>(workflowId);
  const typesIn = async (workflowId: string) =>
    (await fetchEventSummaries(handleOf(workflowId))).map(({ type }) => type);
  const viewOf = (workflowId: string) => handleOf(workflowId).query(cartQuery);
  const startOptions = (workflowId: string) => ['--type', 'cart', '--task-queue', 'carts', '--workflow-id', workflowId];

  /** Starts a cart by CLI and adds two pieces of a product. */
  async function startFilledCart(): Promise<string> {
    const cartId = newCartId();
    const workflowId = cartWorkflowId(cartId);
    const started = await cli('workflow', 'start', ...startOptions(workflowId), ...json({ cartId }));
    expect(started).toMatchObject({ code: 0, stderr: '' });
    await handleOf(workflowId).executeUpdate('addItem', { args: [{ sku, quantity: 2, idempotencyKey: 'first' }] });
    return workflowId;
  }

  const signal = async (workflowId: string, name: string, ...input: string[]) => {
    const sent = await cli('workflow', 'signal', '--workflow-id', workflowId, '--name', name, ...input);
    expect(sent).toMatchObject({ code: 0 });
  };
  const update = (workflowId: string, name: string, ...input: string[]) =>
    cli('workflow', 'update', 'execute', '--workflow-id', workflowId, '--name', name, ...input);

  /** Waits until the cart view matches. @throws when the query fails, for example because a workflow task failed. */
  async function waitForView(workflowId: string, matches: (view: CartView) => boolean): Promise<CartView> {
    return await waitUntil(
      async () => {
        const view = await viewOf(workflowId);
        return matches(view) ? view : undefined;
      },
      { description: `the expected view of ${workflowId}`, timeoutMs: 10_000 },
    );
  }

  /** Expects that the cart has kept its lines, accepts a change, and has no failed workflow task. */
  async function expectUnharmed(workflowId: string): Promise<void> {
    // The cart handles messages in order, so it handles this update after all earlier messages.
    const view = await handleOf(workflowId).executeUpdate<CartView, [unknown]>('addItem', {
      args: [{ sku: other, quantity: 1 }],
    });
    expect(view).toMatchObject({ status: 'open' });
    expect(quantitiesOf(view)).toEqual({ [sku]: 2, [other]: 1 });
    expect(await typesIn(workflowId)).not.toContain('WorkflowTaskFailed');
  }

  describe('starting a cart by CLI', () => {
    test('HTTP requests can read and change a cart that the CLI started', async () => {
      const workflowId = await startFilledCart();
      const cart = new CartClient(api, workflowId.replace('cart:', ''));

      expect((await cart.get()).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 2 }] });
      expect((await cart.addItem(sku, 1)).body).toMatchObject({ lines: [{ sku, quantity: 3 }] });
    });

    test('an update-with-start by CLI starts the cart and applies the change', async () => {
      const cartId = newCartId();
      const workflowId = cartWorkflowId(cartId);
      const add = json({ sku, quantity: 3 }).map((part) => part.replace('--input', '--update-input'));
      const start = [...startOptions(workflowId), ...json({ cartId }), '--id-conflict-policy', 'UseExisting'];

      for (let number = 0; number < 2; number++) {
        const sent = await cli('workflow', 'execute-update-with-start', '--update-name', 'addItem', ...add, ...start);
        expect(sent, sent.stderr).toMatchObject({ code: 0 });
      }

      expect(quantitiesOf(await viewOf(workflowId))).toEqual({ [sku]: 6 });
    });

    const validInput = (cartId: string) => ({ cartId });
    const line = { sku: 'ANY', quantity: 1 };
    const state = { lines: [line], ledger: [], lastChangeAt: '2030-01-01T00:00:00Z', reminderPassed: false };
    const badInput: [string, (id: string) => string[], string[], ((id: string) => string)?][] = [
      ['there is no input', () => [], ['']],
      ['the input is null', () => json(null), ['']],
      ['the input is a string', () => json('cart'), ['']],
      ['the input is an array', (id) => json([validInput(id)]), ['']],
      ['the id is missing', () => json({}), ['/cartId']],
      ['a field is unknown', (id) => json({ ...validInput(id), total: 1 }), ['/total']],
      ['a time is negative', (id) => json({ ...validInput(id), remindAfterSeconds: -1 }), ['/remindAfterSeconds']],
      ['a time is a word', (id) => json({ ...validInput(id), expireAfterSeconds: 'soon' }), ['/expireAfterSeconds']],
      ['the state is a string', (id) => json({ ...validInput(id), state: 'full' }), ['/state']],
      [
        'a line of the state is wrong',
        (id) => json({ ...validInput(id), state: { ...state, lines: [{ sku: 'any', quantity: 0 }] } }),
        ['/state/lines/0/quantity', '/state/lines/0/sku'],
      ],
      [
        'the time of the last change is not a time',
        (id) => json({ ...validInput(id), state: { ...state, lastChangeAt: 'yesterday' } }),
        ['/state/lastChangeAt'],
      ],
      ['the workflow id is of another cart', (id) => json(validInput(id)), ['/cartId'], () => `cart:${newCartId()}`],
      ['the workflow id has no prefix', (id) => json(validInput(`x${id}`)), ['/cartId'], (id) => id],
    ];
    test.each(badInput)(
      'a cart fails at once as InvalidInput with a list of problems when %s',
      async (_description, inputOf, pointers, workflowIdOf = cartWorkflowId) => {
        const cartId = newCartId();
        const workflowId = workflowIdOf(cartId);

        expect(await cli('workflow', 'start', ...startOptions(workflowId), ...inputOf(cartId))).toMatchObject({
          code: 0,
        });

        await expectInvalidInput(workflowId, pointers);
      },
    );

    test('a cart with invalid input fails and does not apply a signal that is sent with the start', async () => {
      const cartId = newCartId();
      const workflowId = cartWorkflowId(cartId);
      // Signal-with-start puts the signal into the first workflow task.
      await shop.client.workflow.signalWithStart('cart', {
        workflowId,
        taskQueue: 'carts',
        args: [{ cartId, state: 'full' }],
        signal: 'addItem',
        signalArgs: [{ sku, quantity: 1 }],
      });

      await expectInvalidInput(workflowId, ['/state']);
    });

    test('a run that continues the state of a previous run applies new changes and ignores repeated changes', async () => {
      const cartId = newCartId();
      const handedOver = {
        lines: [{ sku, quantity: 4 }],
        ledger: [{ id: 'known', fingerprint: `addItem ${sku} 4` }],
        lastChangeAt: new Date().toISOString(),
        reminderPassed: false,
      };
      const handle = await shop.client.workflow.signalWithStart<typeof cartWorkflow, [unknown]>('cart', {
        workflowId: cartWorkflowId(cartId),
        taskQueue: 'carts',
        args: [{ cartId, state: handedOver }],
        signal: 'addItem',
        signalArgs: [{ sku, quantity: 1, idempotencyKey: 'new' }],
      });
      await handle.signal('addItem', { sku, quantity: 4, idempotencyKey: 'known' });
      await handle.signal('addItem', { sku: other, quantity: 1 });

      const view = await waitForView(handle.workflowId, ({ lines }) => lines.length === 2);
      expect(quantitiesOf(view)).toEqual({ [sku]: 5, [other]: 1 });
    });

    test('an update-with-start with invalid cart input is rejected, and the API returns 410 for the cart', async () => {
      const cartId = newCartId();
      const workflowId = cartWorkflowId(cartId);
      const sent = await cli(
        'workflow',
        'execute-update-with-start',
        '--update-name',
        'addItem',
        '--id-conflict-policy',
        'Fail',
        '--update-input',
        JSON.stringify({ sku, quantity: 1 }),
        ...startOptions(workflowId),
        ...json({}),
      );

      expect(sent.code).not.toBe(0);
      await expectInvalidInput(workflowId, ['/cartId']);
      expect((await new CartClient(api, cartId).get()).status).toBe(410);
    });

    async function expectInvalidInput(workflowId: string, pointers: string[]): Promise<void> {
      let ended: { failure: unknown } | undefined;
      void handleOf(workflowId)
        .result()
        .then(
          (view) => (ended = { failure: view }),
          (error: unknown) => (ended = { failure: error instanceof WorkflowFailedError ? error.cause : error }),
        );
      const { failure } = await waitUntil(() => ended, { description: `the end of ${workflowId}`, timeoutMs: 10_000 });
      expect(failure).toBeInstanceOf(ApplicationFailure);
      const { type, details } = failure as ApplicationFailure;
      expect(type).toBe('InvalidInput');
      const problems = details?.[0] as { pointer: string; detail: string }[];
      expect(problems.map(({ pointer }) => pointer).toSorted()).toEqual(pointers);
      for (const { detail } of problems) expect(detail).not.toBe('');
      const types = await typesIn(workflowId);
      expect(types).not.toContain('WorkflowTaskFailed');
      // The first activity rejects the input, so no other activity runs.
      expect(types.filter((type) => type === 'ActivityTaskScheduled')).toHaveLength(1);
    }
  });

  describe('cart signals', () => {
    test('the signals addItem, setQuantity, removeItem and checkout change the cart', async () => {
      const workflowId = await startFilledCart();

      await signal(workflowId, 'addItem', ...json({ sku: other, quantity: 4 }));
      await waitForView(workflowId, (view) => quantitiesOf(view)[other] === 4);
      await signal(workflowId, 'setQuantity', ...json({ sku: other, quantity: 1 }));
      await waitForView(workflowId, (view) => quantitiesOf(view)[other] === 1);
      await signal(workflowId, 'removeItem', ...json({ sku }));
      await waitForView(workflowId, (view) => !(sku in quantitiesOf(view)));
      await signal(workflowId, 'checkout', ...json({ payment: { token: 'tok_ok' }, customerId: 'by-signal' }));

      const view = await handleOf(workflowId).result();
      expect(view).toMatchObject({ status: 'checked_out', lines: [{ sku: other, quantity: 1 }] });
      const awaitsPickup = ({ stage }: { stage: string }) => stage === 'awaiting_pickup';
      const order = await api.waitForOrder(view.orderId!, awaitsPickup, 'awaits pickup');
      expect(order).toMatchObject({ customerId: 'by-signal' });
      expect(await typesIn(workflowId)).not.toContain('WorkflowTaskFailed');
    });

    test.each([[[]], [['--input', 'null']], [['--input', '{}']], [['--input', '{"idempotencyKey":"bye"}']]])(
      'the signal abandon with the CLI arguments %j abandons the cart',
      async (input) => {
        const workflowId = await startFilledCart();

        await signal(workflowId, 'abandon', ...input);

        expect(await handleOf(workflowId).result()).toMatchObject({ status: 'abandoned' });
      },
    );

    test('a cart request that arrives as two signals and an update with one key is applied once', async () => {
      const workflowId = await startFilledCart();
      const addition = json({ sku: other, quantity: 3, idempotencyKey: 'name' });

      await signal(workflowId, 'addItem', ...addition);
      await signal(workflowId, 'addItem', ...addition);
      expect(await update(workflowId, 'addItem', ...addition)).toMatchObject({ code: 0 });

      expect(quantitiesOf(await viewOf(workflowId))).toEqual({ [sku]: 2, [other]: 3 });
    });

    test('two checkout signals create one order', async () => {
      const workflowId = await startFilledCart();
      const checkout = json({ payment: { token: 'tok_ok' } });

      await Promise.all([
        cli('workflow', 'signal', '--workflow-id', workflowId, '--name', 'checkout', ...checkout),
        cli('workflow', 'signal', '--workflow-id', workflowId, '--name', 'checkout', ...checkout),
      ]);

      const { orderId } = await handleOf(workflowId).result();
      const types = await typesIn(workflowId);
      expect(types.filter((type) => type === 'StartChildWorkflowExecutionInitiated')).toHaveLength(1);
      expect(orderId).toMatch(/\w/);
    });

    const refusedSignals: [string, string, () => string[]][] = [
      ['addItem', 'an unknown product', () => json({ sku: 'NO-SUCH-SKU', quantity: 1 })],
      ['addItem', 'a quantity above the stock', () => json({ sku: other, quantity: 11 })],
      ['addItem', 'a quantity above the maximum', () => json({ sku, quantity: 999 })],
      ['addItem', 'the key of another request', () => json({ sku, quantity: 7, idempotencyKey: 'first' })],
      ['setQuantity', 'a missing line', () => json({ sku: 'NOT-IN-IT', quantity: 1 })],
      ['removeItem', 'a missing line', () => json({ sku: 'NOT-IN-IT' })],
    ];
    test.each(refusedSignals)('a cart ignores the signal %s with %s', async (name, _description, inputOf) => {
      const workflowId = await startFilledCart();

      await signal(workflowId, name, ...inputOf());

      await expectUnharmed(workflowId);
    });

    test('an empty cart stays open after a checkout signal', async () => {
      const workflowId = await startFilledCart();
      await signal(workflowId, 'removeItem', ...json({ sku }));

      await signal(workflowId, 'checkout', ...json({ payment: { token: 'tok_ok' } }));
      await signal(workflowId, 'addItem', ...json({ sku, quantity: 2 }));

      await expectUnharmed(workflowId);
    });

    const malformed: [string, () => string[]][] = [
      ['addItem', () => []],
      ['addItem', () => json(null)],
      ['addItem', () => json('a mug')],
      ['addItem', () => json(7)],
      ['addItem', () => json([{ sku, quantity: 1 }])],
      ['addItem', () => json({})],
      ['addItem', () => json({ sku })],
      ['addItem', () => json({ sku, quantity: 'two' })],
      ['addItem', () => json({ sku, quantity: -1 })],
      ['addItem', () => json({ sku, quantity: 1.5 })],
      ['addItem', () => json({ sku: sku.toLowerCase(), quantity: 1 })],
      ['addItem', () => json({ sku, quantity: 1, price: 1 })],
      ['addItem', () => json({ sku, quantity: 1, kind: 'abandon' })],
      ['addItem', () => json({ sku, quantity: 1, idempotencyKey: '' })],
      ['addItem', () => ['--input', '{"sku":"ANY","quantity":1,"__proto__":{"kind":"abandon"}}']],
      ['addItem', () => ['--input', 'x', '--input-meta', 'encoding=binary/null']],
      ['addItem', () => ['--input', 'x', '--input-meta', 'encoding=binary/plain']],
      ['setQuantity', () => json({ sku, quantity: 0 })],
      ['setQuantity', () => json({ sku, quantity: null })],
      ['removeItem', () => json(sku)],
      ['removeItem', () => json({ sku: { toString: 'x' } })],
      ['checkout', () => []],
      ['checkout', () => json({})],
      ['checkout', () => json({ payment: null })],
      ['checkout', () => json({ payment: { token: '' } })],
      ['checkout', () => json({ payment: { token: 'tok_ok' }, customerId: 'a customer' })],
      ['abandon', () => json('bye')],
      ['abandon', () => json({ reason: 'bye' })],
      ['explode', () => json({})],
    ];
    test('a cart ignores malformed and unknown signals', async () => {
      const workflowId = await startFilledCart();

      for (const [name, inputOf] of malformed) await signal(workflowId, name, ...inputOf());

      await expectUnharmed(workflowId);
      const signals = (await typesIn(workflowId)).filter((type) => type === 'WorkflowExecutionSignaled');
      expect(signals).toHaveLength(malformed.length);
    });
  });

  describe('cart updates', () => {
    test('each valid cart update returns the changed cart', async () => {
      const workflowId = await startFilledCart();
      const updateOutput = async (name: string, ...input: string[]) => {
        const { code, stdout, stderr } = await update(workflowId, name, ...input, '--output', 'json');
        expect(code, stderr).toBe(0);
        return (JSON.parse(stdout) as { result: CartView }).result;
      };

      expect(quantitiesOf(await updateOutput('addItem', ...json({ sku, quantity: 1 })))).toEqual({ [sku]: 3 });
      expect(quantitiesOf(await updateOutput('setQuantity', ...json({ sku, quantity: 9 })))).toEqual({ [sku]: 9 });
      expect(quantitiesOf(await updateOutput('removeItem', ...json({ sku })))).toEqual({});
      expect(await updateOutput('abandon')).toMatchObject({ status: 'abandoned', lines: [] });
    });

    const malformed: [string, () => string[]][] = [
      ['addItem', () => []],
      ['addItem', () => json(null)],
      ['addItem', () => json([])],
      ['addItem', () => json({ sku, quantity: '1' })],
      ['addItem', () => json({ sku, quantity: 1_001 })],
      ['addItem', () => json({ sku, quantity: 1, idempotencyKey: 'x'.repeat(256) })],
      ['addItem', () => ['--input', 'x', '--input-meta', 'encoding=binary/plain']],
      ['addItem', () => ['--input', 'x', '--input-meta', 'encoding=binary/unknown']],
      ['setQuantity', () => json({ sku })],
      ['removeItem', () => json({ sku, quantity: 1 })],
      ['checkout', () => json({ payment: 'tok_ok' })],
      ['abandon', () => json(7)],
      ['explode', () => json({})],
    ];
    test('a cart rejects malformed updates and writes no history event for them', async () => {
      const workflowId = await startFilledCart();
      const before = await typesIn(workflowId);

      for (const [name, inputOf] of malformed) {
        const { code, stderr } = await update(workflowId, name, ...inputOf());
        expect([name, inputOf(), code === 0]).toEqual([name, inputOf(), false]);
        expect(stderr).toContain('unable to update workflow');
      }

      expect(await typesIn(workflowId)).toEqual(before);
      await expectUnharmed(workflowId);
    });

    const refusedUpdates: [string, () => string[], string][] = [
      ['addItem', () => json({ sku: 'NO-SUCH-SKU', quantity: 1 }), 'NO-SUCH-SKU'],
      ['addItem', () => json({ sku: other, quantity: 11 }), '11 requested'],
      ['addItem', () => json({ sku, quantity: 999 }), 'at most 1000'],
      ['addItem', () => json({ sku, quantity: 3, idempotencyKey: 'first' }), 'another request'],
      ['removeItem', () => json({ sku: 'NOT-IN-IT' }), 'not in the cart'],
    ];
    test.each(refusedUpdates)('a cart rejects the update %s with the reason (%#)', async (name, inputOf, reason) => {
      const workflowId = await startFilledCart();

      const { code, stderr } = await update(workflowId, name, ...inputOf());

      expect(code).not.toBe(0);
      expect(stderr).toContain(reason);
      await expectUnharmed(workflowId);
    });
  });

  test('the cart query returns the lines and the status of the cart', async () => {
    const workflowId = await startFilledCart();

    const { code, stdout } = await cli('workflow', 'query', '--workflow-id', workflowId, '--name', 'cart');

    expect(code).toBe(0);
    expect(stdout).toContain(sku);
    expect(stdout).toContain('open');
  });
});
