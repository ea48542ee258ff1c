import { randomUUID } from 'node:crypto';
import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Schema } from './schema.js';

/** The answer to a request is kept for so long. After that, the same key names a new request. */
const KEPT_HOURS = 24;

/** Whoever is at it says so more often than that; else he has died. */
const CLAIM_SECONDS = 30;

const PURGED_AT_ONCE = 5_000;

/** A row can vanish between the two statements of a claim, when its owner gives it back. */
const MAX_TRIES = 5;

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type Claim =
  | { outcome: 'claimed'; claim: string }
  | { outcome: 'answered'; answer: KeptAnswer }
  /** Somebody is at it just now. */
  | { outcome: 'running' }
  /** The key names a request with another content. */
  | { outcome: 'other' };

export function createIdempotencyKeys(db: Kysely<Schema>) {
  async function setClaimedAt(scope: Buffer, claim: string, at: RawBuilder<Date>): Promise<void> {
    await db
      .updateTable('idempotency_keys')
      .set({ claimed_at: at })
      .where('scope', '=', scope)
      .where('claim', '=', claim)
      .where('status', 'is', null)
      .execute();
  }

  return {
    /** Claims a key for a request, or tells what became of it. Of many at once, one gets it. */
    async claimKey(scope: Buffer, fingerprint: Buffer): Promise<Claim> {
      for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
        const claim = randomUUID();
        const { rows } = await sql`
          insert into idempotency_keys as known (scope, fingerprint, claim)
          values (${scope}, ${fingerprint}, ${claim})
          on conflict (scope) do update
          set fingerprint = excluded.fingerprint, claim = excluded.claim, claimed_at = now(),
            status = null, headers = null, body = null
          where known.claimed_at < now() - make_interval(hours => ${KEPT_HOURS})
            or (known.status is null and known.fingerprint = excluded.fingerprint
              and known.claimed_at < now() - make_interval(secs => ${CLAIM_SECONDS}))
          returning claim`.execute(db);
        if (rows.length) return { outcome: 'claimed', claim };
        const known = await db
          .selectFrom('idempotency_keys')
          .select(['fingerprint', 'status', 'headers', 'body'])
          .where('scope', '=', scope)
          .executeTakeFirst();
        if (!known) continue;
        const { status, headers, body } = known;
        if (!known.fingerprint.equals(fingerprint)) return { outcome: 'other' };
        if (status === null) return { outcome: 'running' };
        return { outcome: 'answered', answer: { status, headers: headers ?? {}, body: body ?? '' } };
      }
      return { outcome: 'running' };
    },

    /** Keeps the answer to a request, unless somebody else has claimed it since. */
    async keepAnswer(scope: Buffer, claim: string, { status, headers, body }: KeptAnswer): Promise<void> {
      await db
        .updateTable('idempotency_keys')
        .set({ status, headers: JSON.stringify(headers), body })
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .execute();
    },

    /** Gives a key back that has no answer worth keeping. */
    async releaseKey(scope: Buffer, claim: string): Promise<void> {
      await db
        .deleteFrom('idempotency_keys')
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .where('status', 'is', null)
        .execute();
    },

    /** Says that somebody is still at it. */
    async renewKey(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now()`);
    },

    /** Lets the next try have a key whose request may have been done, and nobody knows: with the same content alone. */
    async suspendKey(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now() - make_interval(secs => ${CLAIM_SECONDS + 1})`);
    },

    /** Forgets what is older than it has to be kept, piece by piece: one statement for all might never come to its end. */
    async purgeKeys(): Promise<void> {
      for (let purged = PURGED_AT_ONCE; purged === PURGED_AT_ONCE;) {
        const { numDeletedRows } = await db
          .deleteFrom('idempotency_keys')
          .where('scope', 'in', (old) =>
            old
              .selectFrom('idempotency_keys')
              .select('scope')
              .where('claimed_at', '<', sql<Date>`now() - make_interval(hours => ${KEPT_HOURS})`)
              .limit(PURGED_AT_ONCE),
          )
          .executeTakeFirst();
        purged = Number(numDeletedRows);
      }
    },
  };
}
