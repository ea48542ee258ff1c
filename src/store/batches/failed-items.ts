import { sql, type Kysely, type Transaction } from 'kysely';
import type { BatchFailure } from '../../schemas/batch.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Tables } from '../tables.js';
import { findLastAttempt } from './attempt-queries.js';

/** The position of a failed item: its chunk, and its index in the chunk. */
export interface FailurePosition {
  chunkIndex: number;
  itemIndex: number;
}

/** A row that `failedItemsSql` returns. */
interface FailedItemRow {
  chunk_index: number;
  item_index: number;
  staged: [line: number, item: unknown];
  failure_reason: Reason;
}

export function createFailedItemStore(db: Kysely<Tables>) {
  return {
    /** Lists the failed items of the last attempt in line order, starting after the position `after`. */
    async listBatchFailures(
      batchId: string,
      { after = { chunkIndex: 0, itemIndex: -1 }, limit }: { after?: FailurePosition; limit: number },
    ): Promise<(BatchFailure & { position: FailurePosition })[]> {
      const { attempt_id } = await findLastAttempt(db, batchId);
      const { rows } = await sql<FailedItemRow>`
        select chunk_index, item_index, staged, failure_reason from batch_chunks
        cross join lateral (${failedItemsSql}) as failed_item
        where attempt_id = ${attempt_id} and failed > 0
          and (chunk_index, item_index) > (${after.chunkIndex}::int, ${after.itemIndex}::int)
          and chunk_index >= ${after.chunkIndex}
        order by chunk_index, item_index limit ${limit}`.execute(db);
      return rows.map(({ staged: [line, item], ...row }) => ({
        line,
        item,
        reason: row.failure_reason,
        position: { chunkIndex: row.chunk_index, itemIndex: row.item_index },
      }));
    },
  };
}

/**
 * Selects the failed items of a batch_chunks row: items with a recorded failure, and unfinished items of a chunk that
 * was given up. `item_index` is the item's position in the chunk.
 */
const failedItemsSql = sql`
  select (ordinal - 1)::int as item_index, staged,
    case when recorded.index is null then batch_chunks.reason
      else json_build_object('type', recorded.type, 'message', recorded.message) end as failure_reason
  from json_array_elements(items) with ordinality as element (staged, ordinal)
  left join (
    select (failure ->> 0)::int as index, failure ->> 1 as type, failure ->> 2 as message
    from json_array_elements(failures) as failure
  ) recorded on recorded.index = ordinal - 1
  where recorded.index is not null or (outcome = 'given_up' and ordinal > processed_count)`;

/** Copies the failed items of one attempt into new chunks of another attempt. */
export async function copyFailedItems(
  tx: Transaction<Tables>,
  { fromAttemptId, toAttemptId, itemsPerChunk }: { fromAttemptId: number; toAttemptId: number; itemsPerChunk: number },
): Promise<void> {
  await sql`
    insert into batch_chunks (attempt_id, chunk_index, items, item_count)
    select ${toAttemptId}, next_chunk, json_agg(staged order by chunk_index, item_index), count(*)
    from (
      select chunk_index, item_index, staged,
        (row_number() over (order by chunk_index, item_index) - 1) / ${itemsPerChunk}::int as next_chunk
      from batch_chunks cross join lateral (${failedItemsSql}) as failed_item
      where attempt_id = ${fromAttemptId} and failed > 0
    ) as numbered
    group by next_chunk`.execute(tx);
}
