import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sql, type Kysely } from 'kysely';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { ConcurrencyLimit } from '../../async/concurrency-limit.js';
import type { Tables } from '../tables.js';
import { changeChunksInSteps } from './chunk-steps.js';

/** A part ends with the chunk that reaches this length, in UTF-16 code units. */
const PART_LENGTH = 2 ** 20;

/** Timeout of the statement that stores a part. A part takes some milliseconds, unless a single chunk is very large. */
const PART_TIMEOUT_MS = 60_000;

/** Maximum number of parts that this process stores at the same time. Each part needs a connection. */
const CONCURRENT_PARTS = 4;

/** The items of a chunk as JSON, and their number. */
export interface JsonChunk {
  json: string;
  itemCount: number;
}

/** The batch that an upload becomes. */
interface PublishedBatch {
  batchId: string;
  operation: string;
  itemsPerChunk: number;
  total: number;
  chunks: number;
  hash: string;
}

/** Thrown when the upload was abandoned, because it had not stored a part for a long time. */
export class UploadAbandonedError extends Error {
  constructor() {
    super('the upload was abandoned before its last part was stored');
  }
}

/**
 * Stores uploads in parts. Each part is one short transaction, so that a long upload neither delays vacuum nor holds a
 * connection while it waits for its client. No query reads the items until the upload is published.
 */
export function createUploadStore(db: Kysely<Tables>, pool: pg.Pool) {
  const partLimit = new ConcurrencyLimit({ maxConcurrent: CONCURRENT_PARTS });
  // A deletion occupies a database connection that requests need, so this process runs one deletion at a time.
  const deletionLimit = new ConcurrencyLimit({ maxConcurrent: 1 });

  return {
    /** Begins an upload. @returns the id of the attempt that the items become part of. */
    async beginUpload({ batchId, itemsPerChunk }: Pick<PublishedBatch, 'batchId' | 'itemsPerChunk'>): Promise<number> {
      const { attempt_id } = await db
        .insertInto('batch_uploads')
        .values({
          attempt_id: sql`nextval(pg_get_serial_sequence('batch_attempts', 'attempt_id'))`,
          batch_id: batchId,
          items_per_chunk: itemsPerChunk,
        })
        .returning('attempt_id')
        .executeTakeFirstOrThrow();
      return attempt_id;
    },

    /** Stores the chunks of an upload. Memory holds at most two parts. */
    async storeChunks(attemptId: number, chunks: AsyncIterable<JsonChunk>): Promise<void> {
      let chunkIndex = 0;
      let part: string[] = [];
      let partLength = 0;
      let storing = Promise.resolve();
      // Reads the next part while the database stores the previous part.
      const storePart = async () => {
        await storing;
        const rows = part.join('');
        [part, partLength] = [[], 0];
        storing = partLimit.run('', () => copyRows(pool, attemptId, rows));
        // The next part or the end of the upload throws the error.
        storing.catch(() => undefined);
      };
      try {
        for await (const { json, itemCount } of chunks) {
          // In COPY's text format, only backslashes need escaping here, because JSON contains no raw tabs or newlines.
          part.push(`${attemptId}\t${chunkIndex}\t${json.replaceAll('\\', '\\\\')}\t${itemCount}\n`);
          partLength += json.length;
          chunkIndex += 1;
          if (partLength >= PART_LENGTH) await storePart();
        }
        if (part.length > 0) await storePart();
      } catch (error) {
        await storing.catch(() => undefined);
        throw error;
      }
      await storing;
    },

    /** Makes the items of an upload the first attempt of a new batch. @throws SQLSTATE 23505 when the batch exists. */
    async publishUpload(attemptId: number, batch: PublishedBatch): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx
          .insertInto('batches')
          .values({
            batch_id: batch.batchId,
            operation: batch.operation,
            items_per_chunk: batch.itemsPerChunk,
            total: batch.total,
            content_hash: batch.hash,
          })
          .execute();
        await tx
          .insertInto('batch_attempts')
          .values({
            attempt_id: attemptId,
            batch_id: batch.batchId,
            attempt: 1,
            chunk_count: batch.chunks,
            succeeded_before: 0,
          })
          .execute();
        const { numDeletedRows } = await tx
          .deleteFrom('batch_uploads')
          .where('attempt_id', '=', attemptId)
          .where('abandoned_at', 'is', null)
          .executeTakeFirst();
        if (numDeletedRows === 0n) throw new UploadAbandonedError();
      });
    },

    /** Deletes the items of an upload that failed. Does nothing when the upload was published. */
    async abandonUpload(attemptId: number): Promise<void> {
      const upload = await db
        .updateTable('batch_uploads')
        .set({ abandoned_at: sql`now()` })
        .where('attempt_id', '=', attemptId)
        .returning(['attempt_id', 'items_per_chunk'])
        .executeTakeFirst();
      if (upload) await deletionLimit.run('', () => deleteUpload(upload));
    },

    /**
     * Deletes the items of uploads that failed or were cut off, for example because their process was killed.
     *
     * @param lastPartBefore an upload that has stored no part since then is abandoned.
     * @returns the number of deleted uploads.
     */
    async deleteAbandonedUploads(lastPartBefore: Date, cancellation?: AbortSignal): Promise<number> {
      await db
        .updateTable('batch_uploads')
        .set({ abandoned_at: sql`now()` })
        .where('last_part_at', '<', lastPartBefore)
        .where('abandoned_at', 'is', null)
        .execute();
      const abandoned = await db
        .selectFrom('batch_uploads')
        .select(['attempt_id', 'items_per_chunk'])
        .where('abandoned_at', 'is not', null)
        .execute();
      for (const upload of abandoned) await deleteUpload(upload, cancellation);
      return abandoned.length;
    },
  };

  /** Deletes the row of the upload last, so that an interrupted deletion can continue. */
  async function deleteUpload(
    { attempt_id: attemptId, items_per_chunk: itemsPerChunk }: { attempt_id: number; items_per_chunk: number },
    cancellation?: AbortSignal,
  ): Promise<void> {
    const { last } = await db
      .selectFrom('batch_chunks')
      .select(({ fn }) => fn.max('chunk_index').as('last'))
      .where('attempt_id', '=', attemptId)
      .executeTakeFirstOrThrow();
    const chunkCount = (last ?? -1) + 1;
    const deleteChunks = (first: number, count: number) =>
      sql`select delete_upload_chunks(${attemptId}, ${first}, ${count})`.execute(db);
    await changeChunksInSteps({ chunkCount, itemsPerChunk }, deleteChunks, cancellation);
    await db.deleteFrom('batch_uploads').where('attempt_id', '=', attemptId).execute();
  }
}

/** Stores rows in one transaction. Locks the row of the upload, so that no part is stored after `abandoned_at`. */
async function copyRows(pool: pg.Pool, attemptId: number, rows: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query(`begin; set local statement_timeout = ${PART_TIMEOUT_MS}`);
    const { rowCount } = await client.query(
      `update batch_uploads set last_part_at = now() where attempt_id = $1 and abandoned_at is null`,
      [attemptId],
    );
    if (rowCount === 0) throw new UploadAbandonedError();
    const copy = client.query(copyFrom('copy batch_chunks (attempt_id, chunk_index, items, item_count) from stdin'));
    await pipeline(Readable.from([rows]), copy);
    await client.query('commit');
    client.release();
  } catch (error) {
    await client.query('rollback').then(
      () => client.release(),
      () => client.release(true),
    );
    throw error;
  }
}
