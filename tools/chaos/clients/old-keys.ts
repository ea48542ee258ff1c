import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { COMPLETE } from '../ledger.js';
import { isClosed, place, seen } from './order-steps.js';
import { partner, untilDone } from './partners.js';
import type { Tools, Visit } from './visit.js';

/**
 * Buys something. The gateway makes the charge and its response is lost. The next attempt comes as if days later, when
 * the gateway has forgotten the key: the order's record is backdated and the gateway forgets the key.
 */
export async function buyWithAForgottenKey(visit: Visit, { store, isAbout }: Tools): Promise<string | undefined> {
  const { outside } = visit;
  const orderId = randomUUID();
  await partner(outside, 'POST', '/test/faults', { on: 'charge', orderId, fault: 'lose-answer' });
  await partner(outside, 'POST', '/test/faults', { on: 'charge', orderId, fault: 'unreachable', times: -1 });
  if ((await place(visit, { orderId })) === undefined) return undefined;
  isAbout(orderId);
  await untilDone(visit, async () => {
    const { charges } = (await (await partner(outside, 'GET', `/test/ledger?orderId=${orderId}`)).json()) as {
      charges: unknown[];
    };
    if (charges.length === 0) throw new Error('the gateway has not made the charge yet');
  });
  const aged = await untilDone(visit, () =>
    store.db
      .updateTable('orders')
      .set({ placed_at: sql<Date>`placed_at - interval '3 days'` })
      .where('order_id', '=', orderId)
      .executeTakeFirst(),
  );
  await partner(outside, 'DELETE', `/test/keys/${orderId}`);
  await partner(outside, 'DELETE', `/test/faults?orderId=${orderId}`);
  if (!aged || !(await seen(visit, orderId, isClosed))) return undefined;
  return aged.numUpdatedRows === 1n ? COMPLETE : 'the order has no record that could be made older';
}
