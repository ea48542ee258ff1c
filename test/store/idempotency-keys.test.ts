import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type Store } from '../../src/store/index.js';
import { createDatabase } from '../support/database.js';

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

const ANSWER = { status: 202, headers: { location: '/v1/orders/x' }, body: '{}' };
const [CONTENT, OTHER] = [Buffer.from('content'), Buffer.from('other')];
const aScope = () => randomBytes(32);

/** Claims a key that is unclaimed. */
async function claimed(scope: Buffer): Promise<string> {
  const claim = await store.claimKey(scope, CONTENT);
  if (claim.outcome !== 'claimed') throw new Error(`it is ${claim.outcome}`);
  return claim.claim;
}

const age = (scope: Buffer, seconds: number) =>
  sql`update idempotency_keys set claimed_at = claimed_at - make_interval(secs => ${seconds}) where scope = ${scope}`.execute(
    store.db,
  );

const outcomeOf = async (scope: Buffer, content = CONTENT) => (await store.claimKey(scope, content)).outcome;

test('claimKey grants a key to one of many concurrent claims and reports "running" to the others', async () => {
  const scope = aScope();
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeOf(scope)));

  expect(outcomes.filter((outcome) => outcome === 'claimed')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'running')).toHaveLength(19);
});

test('claimKey keeps a claim while it is renewed, and lets the next attempt take it over once it expires', async () => {
  const scope = aScope();
  const claim = await claimed(scope);
  await age(scope, 29);
  await store.renewKey(scope, claim);
  await age(scope, 29);
  expect(await outcomeOf(scope)).toBe('running');

  await age(scope, 2);
  expect(await outcomeOf(scope, OTHER)).toBe('other');
  expect(await outcomeOf(scope)).toBe('claimed');
  await store.keepAnswer(scope, claim, ANSWER);
  expect(await outcomeOf(scope), 'the answer of who lost his claim').toBe('running');
});

test('claimKey lets the next attempt with the same content take over a suspended key at once', async () => {
  const scope = aScope();
  await store.suspendKey(scope, await claimed(scope));

  expect(await outcomeOf(scope, OTHER)).toBe('other');
  expect(await outcomeOf(scope)).toBe('claimed');
});

test('keeps a stored response after a renew, suspend or release', async () => {
  const scope = aScope();
  const claim = await claimed(scope);
  await store.keepAnswer(scope, claim, ANSWER);

  await store.renewKey(scope, claim);
  await store.suspendKey(scope, claim);
  await store.releaseKey(scope, claim);

  expect(await store.claimKey(scope, CONTENT)).toEqual({ outcome: 'answered', answer: ANSWER });
});

test('purgeKeys deletes all old keys over several statements and keeps the recent ones', async () => {
  const young = aScope();
  await store.keepAnswer(young, await claimed(young), ANSWER);
  await sql`
    insert into idempotency_keys (scope, fingerprint, claim, claimed_at)
    select decode(md5(n::text), 'hex'), 'old', ${randomUUID()}, now() - interval '25 hours'
    from generate_series(1, 12000) as n`.execute(store.db);

  await store.purgeKeys();

  const { rows } = await sql<{ old: number }>`
    select count(*)::int as old from idempotency_keys where fingerprint = 'old'`.execute(store.db);
  expect(rows).toEqual([{ old: 0 }]);
  expect(await outcomeOf(young)).toBe('answered');
});
