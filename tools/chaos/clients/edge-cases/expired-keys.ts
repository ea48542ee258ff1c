import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { COMPLETE } from '../../client-log.js';
import { isClosed, placeOrder, pollOrder } from '../scenarios/order-steps.js';
import { callTestInterface, retryUntilDone } from '../fakes-control.js';
import type { DirectAccess, ClientSession } from '../client-session.js';

/**
 * Places an order. The gateway makes the charge, but its response is lost. The next attempt simulates a retry days
 * later: the order's record is backdated, and the gateway no longer knows the idempotency key.
 */
export async function buyWithExpiredKey(
  session: ClientSession,
  { store, setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const { endpoints } = session;
  const orderId = randomUUID();
  await callTestInterface(endpoints, 'POST', '/test/faults', { on: 'charge', orderId, fault: 'lose-response' });
  await callTestInterface(endpoints, 'POST', '/test/faults', {
    on: 'charge',
    orderId,
    fault: 'unreachable',
    times: -1,
  });
  if ((await placeOrder(session, { orderId })) === undefined) return undefined;
  setOrderId(orderId);
  await retryUntilDone(session, async () => {
    const { charges } = (await (
      await callTestInterface(endpoints, 'GET', `/test/ledger?orderId=${orderId}`)
    ).json()) as {
      charges: unknown[];
    };
    if (charges.length === 0) throw new Error('the gateway has not recorded the charge yet');
  });
  const aged = await retryUntilDone(session, () =>
    store.db
      .updateTable('orders')
      .set({ placed_at: sql<Date>`placed_at - interval '3 days'` })
      .where('order_id', '=', orderId)
      .executeTakeFirst(),
  );
  await callTestInterface(endpoints, 'DELETE', `/test/idempotency-keys/${orderId}`);
  await callTestInterface(endpoints, 'DELETE', `/test/faults?orderId=${orderId}`);
  if (!aged || !(await pollOrder(session, orderId, isClosed))) return undefined;
  return aged.numUpdatedRows === 1n ? COMPLETE : 'the order has no record to backdate';
}
