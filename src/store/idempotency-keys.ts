import { randomUUID } from 'node:crypto';
import { sql, type Kysely, type RawBuilder } from 'kysely';
import { deleteInChunks } from './postgres/delete-in-chunks.js';
import type { Tables } from './tables.js';

/**
 * A claim expires after this time unless it is renewed. While the server processes the request, it renews the claim in
 * time.
 */
const CLAIM_TTL_SECONDS = 30;

/**
 * Maximum number of attempts to claim a key. A claim takes two statements, and another request can release the key
 * between them.
 */
const MAX_CLAIM_ATTEMPTS = 5;

export interface StoredResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type ClaimOutcome =
  | { outcome: 'claimed'; claimId: string }
  | { outcome: 'answered'; response: StoredResponse }
  /** Another request with this key is in progress. */
  | { outcome: 'running' }
  /** The key belongs to a request with different content. */
  | { outcome: 'other' };

/**
 * @param settings.retentionHours how long a response is kept. After this time, a request with the same key counts as
 * new.
 */
export function createIdempotencyKeyStore(db: Kysely<Tables>, { retentionHours }: { retentionHours: number }) {
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
     * Claims a key for a request. If an earlier request has the key, returns the state of that request. Of several
     * concurrent calls, exactly one gets the claim.
     */
    async claimIdempotencyKey(scope: Buffer, fingerprint: Buffer): Promise<ClaimOutcome> {
      for (let attempt = 1; attempt <= MAX_CLAIM_ATTEMPTS; attempt += 1) {
        const claimId = randomUUID();
        const { rows } = await sql`
          insert into idempotency_keys as existing (scope, fingerprint, claim)
          values (${scope}, ${fingerprint}, ${claimId})
          on conflict (scope) do update
          set fingerprint = excluded.fingerprint, claim = excluded.claim, claimed_at = now(),
            status = null, headers = null, body = null
          where existing.claimed_at < now() - make_interval(hours => ${retentionHours})
            or (existing.status is null and existing.fingerprint = excluded.fingerprint
              and existing.claimed_at < now() - make_interval(secs => ${CLAIM_TTL_SECONDS}))
          returning claim`.execute(db);
        if (rows.length) return { outcome: 'claimed', claimId };
        const existing = await db
          .selectFrom('idempotency_keys')
          .select(['fingerprint', 'status', 'headers', 'body'])
          .where('scope', '=', scope)
          .executeTakeFirst();
        if (!existing) continue;
        const { status, headers, body } = existing;
        if (!existing.fingerprint.equals(fingerprint)) return { outcome: 'other' };
        if (status === null) return { outcome: 'running' };
        return { outcome: 'answered', response: { status, headers: headers ?? {}, body: body ?? '' } };
      }
      return { outcome: 'running' };
    },

    /** Stores the response to a request, unless another request has taken over the claim. */
    async storeIdempotentResponse(
      scope: Buffer,
      claim: string,
      { status, headers, body }: StoredResponse,
    ): Promise<void> {
      await db
        .updateTable('idempotency_keys')
        .set({ status, headers: JSON.stringify(headers), body })
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .execute();
    },

    /** Deletes the key of a request whose response must not be stored. */
    async releaseIdempotencyKey(scope: Buffer, claim: string): Promise<void> {
      await db
        .deleteFrom('idempotency_keys')
        .where('scope', '=', scope)
        .where('claim', '=', claim)
        .where('status', 'is', null)
        .execute();
    },

    /** Renews a claim while the request is in progress. */
    async renewIdempotencyClaim(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now()`);
    },

    /**
     * Expires a claim immediately, because the outcome of the request is unknown. A retry with the same content can
     * then claim the key.
     */
    async expireIdempotencyClaim(scope: Buffer, claim: string): Promise<void> {
      await setClaimedAt(scope, claim, sql<Date>`now() - make_interval(secs => ${CLAIM_TTL_SECONDS + 1})`);
    },

    /** Deletes the expired keys. @returns the number of deleted keys. */
    async deleteExpiredIdempotencyKeys(cancellation?: AbortSignal): Promise<number> {
      return await deleteInChunks(async (limit) => {
        const { numDeletedRows } = await db
          .deleteFrom('idempotency_keys')
          .where('scope', 'in', (expired) =>
            expired
              .selectFrom('idempotency_keys')
              .select('scope')
              .where('claimed_at', '<', sql<Date>`now() - make_interval(hours => ${retentionHours})`)
              .limit(limit),
          )
          .executeTakeFirst();
        return numDeletedRows;
      }, cancellation);
    },
  };
}
