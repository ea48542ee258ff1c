import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Store } from '../../src/store/index.js';
import { useTestStore } from '../support/database/test-store.js';

const DAY_MS = 86_400_000;

let store: Store;

useTestStore((opened) => void (store = opened), { role: 'app' });

test('deleteNotifications deletes 12,000 old notifications and keeps recent notifications', async () => {
  const addMany = (prefix: string, count: number, days: number) =>
    sql`
      insert into notifications (key, cart_id, kind, created_at)
      select ${prefix} || n, ${prefix}, 'abandoned', now() - make_interval(days => ${days})
      from generate_series(1, ${count}::int) as n`.execute(store.db);
  await addMany('old', 12_000, 91);
  await addMany('recent', 3, 89);

  const before = new Date(Date.now() - 90 * DAY_MS);
  expect(await store.deleteNotifications(before)).toBe(12_000);
  expect(await store.listCartNotifications('old')).toEqual([]);
  expect(await store.listCartNotifications('recent')).toHaveLength(3);
  expect(await store.deleteNotifications(before)).toBe(0);
});

test('deleteNotifications stops before the next chunk when it is cancelled', async () => {
  const reason = new Error('cancelled');
  await expect(store.deleteNotifications(new Date(), AbortSignal.abort(reason))).rejects.toBe(reason);
});
