import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import {
  abandonUpdate,
  addItemSignal,
  addItemUpdate,
  cartQuery,
  checkoutSignal,
  checkoutUpdate,
  removeItemSignal,
  removeItemUpdate,
  setQuantitySignal,
  setQuantityUpdate,
} from '../../src/workflows/cart/contract.js';
import type * as workflows from '../../src/workflows/index.js';
import { waitUntil } from '../processes/wait.js';
import { waitForClose, type Recorder, type Recording } from './recorder.js';

type CartHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.cart>;

const mugs = { sku: 'MUG-ENAMEL', quantity: 2 };
const payment = { token: 'tok_ok' };

const startFilledCart = async (
  recorder: Recorder,
  cartId: string,
  overrides: Parameters<Recorder['startCart']>[1] = {},
) => {
  const handle = await recorder.startCart(cartId, overrides);
  await handle.executeUpdate(addItemUpdate, { args: [{ ...mugs, idempotencyKey: 'first' }] });
  return handle;
};

/** Expects the cart to reject the change, so that the history contains a rejection. */
const expectRejection = async (change: Promise<unknown>): Promise<void> => {
  await change.then(
    () => {
      throw new Error('expected the cart to reject an invalid change, but it accepted the change');
    },
    () => undefined,
  );
};

/** Returns a cart after one continue-as-new. Its second run continues with the state of the first run. */
const startContinuedCart = async (recorder: Recorder, cartId: string): Promise<CartHandle> => {
  const handle = await startFilledCart(recorder, cartId, { continueAsNewAfterEvents: 40 });
  const next = async () => {
    await handle.executeUpdate(addItemUpdate, { args: [{ sku: 'MUG-ENAMEL', quantity: 1 }] });
    return (await handle.describe()).runId === handle.firstExecutionRunId ? undefined : true;
  };
  await waitUntil(next, { description: `${handle.workflowId} in its second run`, timeoutMs: 60_000, intervalMs: 0 });
  return handle;
};

/** The recordings of carts. */
export const cartRecordings: Record<string, Recording> = {
  'cart-checked-out': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId);
    await handle.executeUpdate(setQuantityUpdate, { args: [{ ...mugs, quantity: 3 }] });
    await handle.executeUpdate(addItemUpdate, { args: [{ ...mugs, idempotencyKey: 'first' }] });
    await expectRejection(handle.executeUpdate(addItemUpdate, { args: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] }));
    await expectRejection(handle.executeUpdate(removeItemUpdate, { args: [{ sku: 'NO-SUCH-SKU' }] }));
    const checkouts = ['one', 'other'].map((idempotencyKey) =>
      handle.executeUpdate(checkoutUpdate, { args: [{ payment, idempotencyKey }] }),
    );
    await Promise.allSettled(checkouts);
    return await waitForClose(handle);
  },
  'cart-order-already-exists': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId);
    await recorder.startOrder(handle.firstExecutionRunId, { customerId: cartId });
    await handle.executeUpdate(checkoutUpdate, { args: [{ payment }] });
    return await waitForClose(handle);
  },
  'cart-expired-after-reminder': async (recorder, cartId) =>
    waitForClose(await startFilledCart(recorder, cartId, { remindAfterSeconds: 1, expireAfterSeconds: 2 })),
  'cart-changed-after-reminder': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId, { remindAfterSeconds: 1, expireAfterSeconds: 4 });
    const reminded = async () => (await handle.query(cartQuery)).remindedAt;
    await waitUntil(reminded, { description: 'the reminder', timeoutMs: 30_000 });
    await handle.executeUpdate(setQuantityUpdate, { args: [{ ...mugs, quantity: 1 }] });
    return await waitForClose(handle);
  },
  'cart-expired-empty': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId, { remindAfterSeconds: 1, expireAfterSeconds: 2 });
    await handle.executeUpdate(removeItemUpdate, { args: [{ sku: mugs.sku }] });
    return await waitForClose(handle);
  },
  'cart-first-change-rejected': async (recorder, cartId) => {
    const handle = await recorder.startCart(cartId, { openedByChange: true });
    await expectRejection(handle.executeUpdate(addItemUpdate, { args: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] }));
    return await waitForClose(handle);
  },
  'cart-abandoned': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId);
    await handle.executeUpdate(abandonUpdate, { args: [{}] });
    return await waitForClose(handle);
  },
  'cart-continued-as-new': async (recorder, cartId) => {
    const handle = await startContinuedCart(recorder, cartId);
    await handle.executeUpdate(abandonUpdate, { args: [{}] });
    return { ...(await waitForClose(handle)), runId: handle.firstExecutionRunId };
  },
  'cart-checked-out-after-continue-as-new': async (recorder, cartId) => {
    const handle = await startContinuedCart(recorder, cartId);
    await handle.executeUpdate(addItemUpdate, { args: [{ ...mugs, idempotencyKey: 'first' }] });
    await expectRejection(
      handle.executeUpdate(addItemUpdate, { args: [{ ...mugs, quantity: 1, idempotencyKey: 'first' }] }),
    );
    await handle.executeUpdate(checkoutUpdate, { args: [{ payment }] });
    return await waitForClose(handle);
  },
  'cart-signals': async (recorder, cartId) => {
    const handle = await recorder.startCart(cartId);
    await handle.signal(addItemSignal, mugs);
    await handle.signal(addItemSignal, { sku: 'NO-SUCH-SKU', quantity: 1 });
    await handle.signal('addItem', 'two mugs');
    await handle.signal(setQuantitySignal, { ...mugs, quantity: 5 });
    await handle.signal(removeItemSignal, { sku: 'NO-SUCH-SKU' });
    await handle.signal(checkoutSignal, { payment });
    return await waitForClose(handle);
  },
  'cart-invalid-input': async (recorder, cartId) =>
    waitForClose(await recorder.startCart(cartId, { remindAfterSeconds: 'soon' })),
  'cart-owned': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId, { customerId: 'ada' });
    await handle.executeUpdate(setQuantityUpdate, { args: [{ ...mugs, quantity: 3, caller: 'ada' }] });
    await expectRejection(handle.executeUpdate(removeItemUpdate, { args: [{ sku: mugs.sku, caller: 'bob' }] }));
    await handle.signal(removeItemSignal, { sku: mugs.sku, caller: 'bob' });
    await handle.executeUpdate(checkoutUpdate, { args: [{ payment, caller: 'ada' }] });
    return await waitForClose(handle);
  },
  'cart-cancelled': async (recorder, cartId) => {
    const handle = await startFilledCart(recorder, cartId);
    await handle.cancel();
    return await waitForClose(handle);
  },
};
