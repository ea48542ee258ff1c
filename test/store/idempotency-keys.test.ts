import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { createDatabase } from '../support/database/database.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 10, onIdleError: () => undefined });
});
afterAll(async () => {
  await store?.close();
  await database?.drop();
});

const RESPONSE = { status: 202, headers: { location: '/v1/orders/x' }, body: '{}' };
const [CONTENT, OTHER] = [Buffer.from('content'), Buffer.from('other')];
const randomScope = () => randomBytes(32);

/** Claims a key. @throws when the key is already claimed. */
async function claimKey(scope: Buffer): Promise<string> {
  const claim = await store.claimIdempotencyKey(scope, CONTENT);
  if (claim.outcome !== 'claimed') throw new Error(`expected an unclaimed key, but the outcome is ${claim.outcome}`);
  return claim.claimId;
}

const backdateClaim = (scope: Buffer, seconds: number) =>
  sql`update idempotency_keys set claimed_at = claimed_at - make_interval(secs => ${seconds}) where scope = ${scope}`.execute(
    store.db,
  );

const outcomeOf = async (scope: Buffer, content = CONTENT) => (await store.claimIdempotencyKey(scope, content)).outcome;

test('claimIdempotencyKey grants a key to one of many concurrent callers, and the others get "running"', async () => {
  const scope = randomScope();
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(scope)));

  expect(outcomes.filter((outcome) => outcome === 'claimed')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'running')).toHaveLength(19);
});

test('the claim of an idempotency key stays valid while it is renewed, and another attempt can take over an expired claim', async () => {
  const scope = randomScope();
  const claim = await claimKey(scope);
  await backdateClaim(scope, 29);
  await store.renewIdempotencyClaim(scope, claim);
  await backdateClaim(scope, 29);
  expect(await outcomeOf(scope)).toBe('running');

  await backdateClaim(scope, 2);
  expect(await outcomeOf(scope, OTHER)).toBe('other');
  expect(await outcomeOf(scope)).toBe('claimed');
  await store.storeIdempotentResponse(scope, claim, RESPONSE);
  expect(await outcomeOf(scope), 'the attempt that lost its claim').toBe('running');
});

test('after expireIdempotencyClaim, an attempt with the same content takes over the key immediately', async () => {
  const scope = randomScope();
  await store.expireIdempotencyClaim(scope, await claimKey(scope));

  expect(await outcomeOf(scope, OTHER)).toBe('other');
  expect(await outcomeOf(scope)).toBe('claimed');
});

test('keeps a stored response when the claim of its key is renewed, expired or released', async () => {
  const scope = randomScope();
  const claim = await claimKey(scope);
  await store.storeIdempotentResponse(scope, claim, RESPONSE);

  await store.renewIdempotencyClaim(scope, claim);
  await store.expireIdempotencyClaim(scope, claim);
  await store.releaseIdempotencyKey(scope, claim);

  expect(await store.claimIdempotencyKey(scope, CONTENT)).toEqual({ outcome: 'answered', response: RESPONSE });
});

test('deleteExpiredIdempotencyKeys deletes 12,000 expired keys and keeps recent keys', async () => {
  const young = randomScope();
  await store.storeIdempotentResponse(young, await claimKey(young), RESPONSE);
  await sql`
    insert into idempotency_keys (scope, fingerprint, claim, claimed_at)
    select decode(md5(n::text), 'hex'), 'old', ${randomUUID()}, now() - interval '25 hours'
    from generate_series(1, 12000) as n`.execute(store.db);

  expect(await store.deleteExpiredIdempotencyKeys()).toBe(12_000);

  const { rows } = await sql<{ old: number }>`
    select count(*)::int as old from idempotency_keys where fingerprint = 'old'`.execute(store.db);
  expect(rows).toEqual([{ old: 0 }]);
  expect(await outcomeOf(young)).toBe('answered');
});

test('the retention of idempotency keys applies to claims and to the deletion', async () => {
  const settings = { databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined };
  const shortStore = openStore({ ...settings, idempotencyKeyRetentionHours: 2 });
  try {
    const [claimed, deleted] = [randomScope(), randomScope()];
    for (const scope of [claimed, deleted]) {
      await store.storeIdempotentResponse(scope, await claimKey(scope), RESPONSE);
      await backdateClaim(scope, 3 * 3_600);
    }
    expect(await outcomeOf(claimed)).toBe('answered');
    expect(await shortStore.claimIdempotencyKey(claimed, OTHER)).toMatchObject({ outcome: 'claimed' });

    expect(await store.deleteExpiredIdempotencyKeys()).toBe(0);
    expect(await shortStore.deleteExpiredIdempotencyKeys()).toBe(1);
    expect(await outcomeOf(deleted)).toBe('claimed');
  } finally {
    await shortStore.close();
  }
});
