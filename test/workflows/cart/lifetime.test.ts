import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowFailedError } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import type { CartInput, CartView } from '../../../src/schemas/cart.js';
import {
  abandonSignal,
  addItemSignal,
  addItemUpdate,
  abandonUpdate,
  cartQuery,
  removeItemSignal,
  removeItemUpdate,
  setQuantitySignal,
  setQuantityUpdate,
} from '../../../src/workflows/cart/contract.js';
import { waitUntil } from '../../support/processes.js';
import { newCartId, startCart, type CartHandle } from '../../support/shop/carts.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';

const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;
const DAY_SECONDS = 24 * HOUR_SECONDS;
const WEEK_SECONDS = 7 * DAY_SECONDS;

describeWithTimeSkipping('the lifetime of a cart', () => {
  let env: TestWorkflowEnvironment;
  let shop: Shop;
  let sku: string;

  beforeAllAndRetries(async () => {
    const server = await startTimeSkippingServer();
    env = server.env;
    shop = await startShop(server, { queues: ['carts', 'orders', 'payments'] });
    sku = (await addProduct(shop.store)).sku;
    return shop.close;
  });

  const open = (input: Partial<CartInput> = {}) => startCart(shop.client, { cartId: newCartId(), ...input });

  /** Opens a cart with one item. */
  async function startFilledCart(input: Partial<CartInput> = {}) {
    const handle = await open(input);
    await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] });
    return handle;
  }

  const skip = (seconds: number) => env.sleep(seconds * 1000);

  const messagesTo = ({ workflowId }: Pick<CartHandle, 'workflowId'>) =>
    shop.store.listCartNotifications(workflowId.replace('cart:', ''));

  const waitForNotifications = (handle: CartHandle, kinds: string[]) =>
    waitUntil(async () => ((await messagesTo(handle)).join() === kinds.join() ? kinds : undefined), {
      description: `the messages ${kinds.join()}`,
      timeoutMs: 10_000,
    });

  /** Waits until the view shows the reminder. */
  const waitForReminder = (handle: CartHandle) =>
    waitUntil(
      async () => {
        const view = await handle.query(cartQuery);
        return view.remindedAt === undefined ? undefined : view;
      },
      { description: 'the reminder', timeoutMs: 10_000 },
    );

  const secondsBetween = (from: string | Date, to: string | Date) =>
    (new Date(to).getTime() - new Date(from).getTime()) / 1000;

  /** Allows a difference of a minute, because the clock of the time-skipping server also advances with the real time. */
  function expectAbout(seconds: number, expected: number): void {
    expect(seconds).toBeGreaterThanOrEqual(expected);
    expect(seconds).toBeLessThan(expected + MINUTE_SECONDS);
  }

  /** Waits until the cart expires. Expects that this happens `afterSeconds` after the last change of the cart. */
  async function waitForExpiry(handle: CartHandle, afterSeconds: number): Promise<CartView> {
    const view = await handle.result();
    expect(view.status).toBe('expired');
    expect(view).not.toHaveProperty('expiresAt');
    expect(view).not.toHaveProperty('orderId');
    const { closeTime, status } = await handle.describe();
    expect(status.name).toBe('COMPLETED');
    expectAbout(secondsBetween(view.lastChangeAt, closeTime!), afterSeconds);
    return view;
  }

  test('by default, a cart sends one reminder after a day and one expiry notification after thirty days', async () => {
    const handle = await startFilledCart();
    const { lastChangeAt, expiresAt } = await handle.query(cartQuery);
    expect(secondsBetween(lastChangeAt, expiresAt!)).toBe(30 * DAY_SECONDS);

    const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

    expect(view).toMatchObject({ lines: [{ sku, quantity: 1 }], lastChangeAt });
    expectAbout(secondsBetween(lastChangeAt, view.remindedAt!), DAY_SECONDS);
    expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
  });

  test('a cart uses the reminder time and the expiry time of its input', async () => {
    const handle = await startFilledCart({
      remindAfterSeconds: 2 * WEEK_SECONDS,
      expireAfterSeconds: 9 * WEEK_SECONDS,
    });

    await skip(2 * WEEK_SECONDS - HOUR_SECONDS);
    expect(await messagesTo(handle)).toEqual([]);
    const view = await waitForExpiry(handle, 9 * WEEK_SECONDS);

    expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), 2 * WEEK_SECONDS);
    expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
  });

  test('a cart stays open after the reminder, and its view shows when the reminder was sent', async () => {
    const handle = await startFilledCart();

    await skip(DAY_SECONDS + MINUTE_SECONDS);

    expect(await waitForReminder(handle)).toMatchObject({ status: 'open', lines: [{ sku, quantity: 1 }] });
    expect(await messagesTo(handle)).toEqual(['cart_reminder']);
    await handle.executeUpdate(abandonUpdate, { args: [{}] });
  });

  describe('a change of a cart', () => {
    const changes: [string, (handle: CartHandle) => Promise<unknown>][] = [
      ['an item update', (handle) => handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] })],
      ['a quantity update', (handle) => handle.executeUpdate(setQuantityUpdate, { args: [{ sku, quantity: 2 }] })],
      ['an item signal', (handle) => handle.signal(addItemSignal, { sku, quantity: 1 })],
      ['a quantity signal', (handle) => handle.signal(setQuantitySignal, { sku, quantity: 2 })],
    ];
    test.each(changes)('%s before the reminder restarts both timers', async (_description, change) => {
      const handle = await startFilledCart();
      const { lastChangeAt: before } = await handle.query(cartQuery);
      await skip(20 * HOUR_SECONDS);
      await change(handle);
      // The reminder for the first change would be due at 24 hours.
      await skip(20 * HOUR_SECONDS);
      expect(await messagesTo(handle)).toEqual([]);

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expectAbout(secondsBetween(before, view.lastChangeAt), 20 * HOUR_SECONDS);
      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), DAY_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });

    test('a change after the reminder causes a new reminder and postpones the expiry', async () => {
      const handle = await startFilledCart();
      await skip(25 * HOUR_SECONDS);
      await waitForNotifications(handle, ['cart_reminder']);
      const { lastChangeAt: before } = await waitForReminder(handle);

      const changed = await handle.executeUpdate(setQuantityUpdate, { args: [{ sku, quantity: 3 }] });

      expect(changed).not.toHaveProperty('remindedAt');
      expect(secondsBetween(changed.lastChangeAt, changed.expiresAt!)).toBe(30 * DAY_SECONDS);
      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);
      expectAbout(secondsBetween(before, view.lastChangeAt), 25 * HOUR_SECONDS);
      // The new reminder is due before the old expiry, so the cart must set its timer to an earlier time.
      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), DAY_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_reminder', 'cart_expired']);
    });

    test('a cart that changes every twenty hours for two weeks sends no notification', async () => {
      const handle = await startFilledCart();
      for (let number = 0; number < 20; number++) {
        await skip(20 * HOUR_SECONDS);
        await handle.executeUpdate(setQuantityUpdate, { args: [{ sku, quantity: 1 + (number % 2) }] });
      }

      expect(await messagesTo(handle)).toEqual([]);
      expect(await handle.query(cartQuery)).toMatchObject({ status: 'open' });
      await handle.signal(abandonSignal, {});
    });

    test('a rejected, malformed or repeated change postpones neither the reminder nor the expiry', async () => {
      const handle = await open();
      await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1, idempotencyKey: 'r' }] });
      const { lastChangeAt: before } = await handle.query(cartQuery);
      await skip(20 * HOUR_SECONDS);
      await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1, idempotencyKey: 'r' }] });
      await expect(handle.executeUpdate(removeItemUpdate, { args: [{ sku: 'NOT-THERE' }] })).rejects.toThrow();
      await handle.signal(removeItemSignal, { sku: 'NOT-THERE' });
      await handle.signal('addItem', { sku, quantity: 'many' });

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expect(view).toMatchObject({ lastChangeAt: before, lines: [{ sku, quantity: 1 }] });
      expectAbout(secondsBetween(before, view.remindedAt!), DAY_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });
  });

  describe('an item that sets the lifetime of the cart', () => {
    test('the lifetime that an item sets also applies after later changes', async () => {
      const handle = await open();
      const args = [
        { sku, quantity: 1, remindAfterSeconds: WEEK_SECONDS, expireAfterSeconds: 3 * WEEK_SECONDS },
      ] as const;
      const added = await handle.executeUpdate(addItemUpdate, { args: [...args] });
      expect(secondsBetween(added.lastChangeAt, added.expiresAt!)).toBe(3 * WEEK_SECONDS);
      await skip(2 * DAY_SECONDS);
      await handle.executeUpdate(setQuantityUpdate, { args: [{ sku, quantity: 2 }] });

      const view = await waitForExpiry(handle, 3 * WEEK_SECONDS);

      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), WEEK_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });

    test('an item with a shorter lifetime makes the reminder and the expiry earlier, also after continue-as-new', async () => {
      const handle = await startFilledCart({
        remindAfterSeconds: 4 * WEEK_SECONDS,
        expireAfterSeconds: 8 * WEEK_SECONDS,
        continueAsNewAfterEvents: 1,
      });
      const args = [{ sku, quantity: 1, remindAfterSeconds: HOUR_SECONDS, expireAfterSeconds: DAY_SECONDS }] as const;
      await handle.executeUpdate(addItemUpdate, { args: [...args] });

      const view = await waitForExpiry(handle, DAY_SECONDS);

      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), HOUR_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });
  });

  describe('an empty cart', () => {
    test('a cart that never had items expires without notifications', async () => {
      const handle = await open();

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expect(view).toMatchObject({ lines: [] });
      expect(view).not.toHaveProperty('remindedAt');
      expect(await messagesTo(handle)).toEqual([]);
    });

    test('a cart whose items were all removed expires without notifications', async () => {
      const handle = await startFilledCart();
      await skip(HOUR_SECONDS);
      await handle.executeUpdate(removeItemUpdate, { args: [{ sku }] });

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expect(view).toMatchObject({ lines: [] });
      expect(await messagesTo(handle)).toEqual([]);
    });

    test('a cart that was empty for days sends the reminder one day after its first item', async () => {
      const handle = await open();
      await skip(3 * DAY_SECONDS);
      await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] });

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), DAY_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });
  });

  describe('a reminder at or after the expiry', () => {
    test.each([
      ['after the expiry', 2 * HOUR_SECONDS],
      ['at the expiry', HOUR_SECONDS],
    ])('a cart does not send a reminder that is due %s', async (_when, remindAfterSeconds) => {
      const handle = await startFilledCart({ remindAfterSeconds, expireAfterSeconds: HOUR_SECONDS });

      const view = await waitForExpiry(handle, HOUR_SECONDS);

      expect(view).not.toHaveProperty('remindedAt');
      expect(await messagesTo(handle)).toEqual(['cart_expired']);
    });
  });

  describe("a cart run that continues from another run's state", () => {
    const carriedState = (overrides: Partial<NonNullable<CartInput['state']>>): Partial<CartInput> => ({
      state: {
        lines: [{ sku, quantity: 4 }],
        ledger: [],
        lastChangeAt: new Date().toISOString(),
        reminderPassed: false,
        ...overrides,
      },
    });

    /** Returns the time of the time-skipping server's clock, which is ahead of the system clock. */
    const now = async () => {
      const probe = await open();
      const { lastChangeAt } = await probe.query(cartQuery);
      await probe.executeUpdate(abandonUpdate, { args: [{}] });
      return new Date(lastChangeAt).getTime();
    };

    test('a run that continues a cart with a sent reminder sends no second reminder and keeps the expiry', async () => {
      const lastChangeAt = new Date((await now()) - 10 * DAY_SECONDS * 1000).toISOString();
      const remindedAt = new Date((await now()) - 9 * DAY_SECONDS * 1000).toISOString();
      const handle = await open(carriedState({ lastChangeAt, remindedAt, reminderPassed: true }));

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expect(view).toMatchObject({ lines: [{ sku, quantity: 4 }], lastChangeAt, remindedAt });
      expect(await messagesTo(handle)).toEqual(['cart_expired']);
    });

    test('a run that continues an idle cart sends the reminder one day after the last change', async () => {
      const lastChangeAt = new Date((await now()) - 20 * HOUR_SECONDS * 1000).toISOString();
      const handle = await open(carriedState({ lastChangeAt }));

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expectAbout(secondsBetween(lastChangeAt, view.remindedAt!), DAY_SECONDS);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_expired']);
    });

    test('a cart sends each notification once and on time across many continue-as-new runs', async () => {
      const handle = await startFilledCart({ continueAsNewAfterEvents: 1 });
      const { firstExecutionRunId } = handle;
      await skip(25 * HOUR_SECONDS);
      await waitForNotifications(handle, ['cart_reminder']);
      await handle.executeUpdate(setQuantityUpdate, { args: [{ sku, quantity: 2 }] });

      const view = await waitForExpiry(handle, 30 * DAY_SECONDS);

      expect(view).toMatchObject({ lines: [{ sku, quantity: 2 }] });
      expectAbout(secondsBetween(view.lastChangeAt, view.remindedAt!), DAY_SECONDS);
      expect(view.changes).toMatchObject([
        { event: 'expired' },
        { event: 'reminded', at: view.remindedAt },
        { event: 'quantity_set', sku, quantityBefore: 1, quantityAfter: 2, at: view.lastChangeAt },
        { event: 'reminded' },
        { event: 'item_added', sku, quantityBefore: 0, quantityAfter: 1 },
      ]);
      expect(await messagesTo(handle)).toEqual(['cart_reminder', 'cart_reminder', 'cart_expired']);
      expect((await handle.describe()).runId).not.toBe(firstExecutionRunId);
    });

    test('a cart remembers its latest 20 changes across continue-as-new, and updates do not return them', async () => {
      const { sku: available } = await addProduct(shop.store, { available: 1_000 });
      const customer = { customerId: 'ada', continueAsNewAfterEvents: 1 };
      const handle = await open(customer);
      for (let number = 1; number <= 21; number++) {
        const args = [{ sku: available, quantity: 1, caller: 'ada' }] as const;
        expect(await handle.executeUpdate(addItemUpdate, { args: [...args] })).not.toHaveProperty('changes');
      }
      await handle.executeUpdate(removeItemUpdate, { args: [{ sku: available }] });

      const { changes = [] } = await handle.query(cartQuery);

      expect(changes).toHaveLength(20);
      expect(changes[0]).toMatchObject({ event: 'item_removed', quantityBefore: 21, quantityAfter: 0 });
      expect(changes[0]).not.toHaveProperty('caller');
      expect(changes[1]).toMatchObject({ event: 'item_added', quantityBefore: 20, quantityAfter: 21, caller: 'ada' });
      expect(changes.at(-1)).toMatchObject({ quantityBefore: 2, quantityAfter: 3 });
      await handle.executeUpdate(abandonUpdate, { args: [{}] });
    });
  });

  test.each<[string, Partial<CartInput>, string]>([
    ['an expiry of zero seconds', { expireAfterSeconds: 0 }, '/expireAfterSeconds'],
    ['a reminder too far in the future', { remindAfterSeconds: 1e12 }, '/remindAfterSeconds'],
    ['a reminder after half a second', { remindAfterSeconds: 0.5 }, '/remindAfterSeconds'],
    ['a threshold of zero events', { continueAsNewAfterEvents: 0 }, '/continueAsNewAfterEvents'],
  ])('a cart whose input has %s fails at once as InvalidInput', async (_description, input, pointer) => {
    const handle = await open(input);

    const failure = await handle.result().catch((error: unknown) => (error as WorkflowFailedError).cause);

    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    expect((failure as ApplicationFailure).details).toMatchObject([[{ pointer }]]);
  });
});
