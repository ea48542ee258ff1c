import { randomUUID } from 'node:crypto';
import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Schema } from './schema.js';

/** How long a response is kept. After that, the same key identifies a new request. */
const KEPT_HOURS = 24;

/** A claim without renewal expires after this time. The server renews it more often while it processes the request. */
const CLAIM_SECONDS = 30;

const PURGED_AT_ONCE = 5_000;

/** A row can disappear between the two statements of a claim, when another request releases its key. */
const MAX_TRIES = 5;

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type Claim =
  | { outcome: 'claimed'; claim: string }
  | { outcome: 'answered'; answer: KeptAnswer }
  /** Another request with this key is in progress. */
  | { outcome: 'running' }
  /** The key belongs to a request with other content. */
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
    /**
     * Claims a key for a request, or returns the state of the earlier request. Of concurrent calls, exactly one gets
     * the claim.
     */
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

    /** Stores the response to a request, unless the claim was lost to another request. */
    async keepAnswer(scope: Buffer, claim: string, { status, headers, body }: KeptAnswer): Promise<void> {
      await db
        .updateTable('idempotency_keys')
        .set({ status, headers: JSON.stringify(headers), body })
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .execute();
    },

    /** Deletes a key whose response must not be kept. */
    async releaseKey(scope: Buffer, claim: string): Promise<void> {
      await db
        .deleteFrom('idempotency_keys')
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .where('status', 'is', null)
        .execute();
    },

    /** Renews a claim while the request is in progress. */
    async renewKey(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now()`);
    },

    /**
     * Expires the claim at once when the outcome of a request is unknown. A retry with the same content can then claim
     * the key.
     */
    async suspendKey(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now() - make_interval(secs => ${CLAIM_SECONDS + 1})`);
    },

    /** Deletes expired keys in chunks, because one statement for all could exceed the statement timeout. */
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
