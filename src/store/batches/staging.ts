import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import { SQLSTATE, sqlStateOf } from '../postgres/sqlstate.js';
import type { Tables } from '../tables.js';
import { createUploadStore, type JsonChunk } from './uploads.js';

/** One item of an upload, with its 1-based line number. */
export interface StagedItem<Item = unknown> {
  line: number;
  item: Item;
}

export interface NewBatch {
  batchId: string;
  operation: string;
  itemsPerChunk: number;
}

/** `existing`: the batch exists with the same content. `taken`: the batch exists with different content. */
export type StageBatchOutcome = { status: 'staged' | 'existing'; total: number } | { status: 'taken' };

/** Stores the items of an upload before a workflow processes them. */
export function createBatchStagingStore(db: Kysely<Tables>, pool: pg.Pool) {
  const uploads = createUploadStore(db, pool);

  return {
    /**
     * Stores a batch with all its items. Every chunk except the last must have `itemsPerChunk` items. If `chunks` throws,
     * no batch is stored and the error is rethrown. Stores the items in short transactions, and publishes them with the
     * last one.
     */
    async stageBatch(batch: NewBatch, chunks: AsyncIterable<StagedItem[]>): Promise<StageBatchOutcome> {
      const existing = await findBatchContent(db, batch.batchId);
      const content = new UploadContent();
      if (existing) {
        for await (const _chunk of content.read(chunks));
        return compareWithExisting(existing, batch, content.hash);
      }
      const attemptId = await uploads.beginUpload(batch);
      try {
        await uploads.storeChunks(attemptId, content.read(chunks));
        const { total, chunkCount, hash } = content;
        await uploads.publishUpload(attemptId, { ...batch, total, chunks: chunkCount, hash });
        return { status: 'staged', total };
      } catch (error) {
        // The caller does not wait for the deletion, which can take seconds. If it fails, the purge deletes the items.
        uploads.abandonUpload(attemptId).catch(() => undefined);
        // A concurrent upload may have stored the same batch id first.
        const isIdTaken = sqlStateOf(error) === SQLSTATE.uniqueViolation;
        const first = isIdTaken ? await findBatchContent(db, batch.batchId) : undefined;
        if (!first || content.hash === '') throw error;
        return compareWithExisting(first, batch, content.hash);
      }
    },

    deleteAbandonedUploads: uploads.deleteAbandonedUploads,

    /** Returns the name of the operation of a batch; undefined when the batch does not exist. */
    async findBatchOperation(batchId: string): Promise<string | undefined> {
      return (await findBatchContent(db, batchId))?.operation;
    },

    /** Whether the items of a batch were deleted after their retention. */
    async areBatchItemsDeleted(batchId: string): Promise<boolean> {
      const batch = await db
        .selectFrom('batches')
        .select('items_expired_at')
        .where('batch_id', '=', batchId)
        .executeTakeFirst();
      return (batch?.items_expired_at ?? null) !== null;
    },
  };
}

/** Counts and hashes the chunks of an upload while they are read. */
class UploadContent {
  total = 0;
  chunkCount = 0;
  /** SHA-256 of the items in hexadecimal. Empty until all chunks have been read. */
  hash = '';

  /** Yields the chunks as JSON. */
  async *read(chunks: AsyncIterable<StagedItem[]>): AsyncGenerator<JsonChunk> {
    const hash = createHash('sha256');
    for await (const chunk of chunks) {
      const json = `[${chunk.map(({ line, item }) => `[${line},${JSON.stringify(item)}]`).join(',')}]`;
      hash.update(json);
      this.chunkCount += 1;
      this.total += chunk.length;
      yield { json, itemCount: chunk.length };
    }
    this.hash = hash.digest('hex');
  }
}

async function findBatchContent(db: Kysely<Tables>, batchId: string) {
  return await db
    .selectFrom('batches')
    .select(['operation', 'items_per_chunk', 'total', 'content_hash'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
}

function compareWithExisting(
  existing: NonNullable<Awaited<ReturnType<typeof findBatchContent>>>,
  { operation, itemsPerChunk }: NewBatch,
  hash: string,
): StageBatchOutcome {
  const isSame =
    existing.operation === operation && existing.items_per_chunk === itemsPerChunk && existing.content_hash === hash;
  return isSame ? { status: 'existing', total: existing.total } : { status: 'taken' };
}
