import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { SQLSTATE, sqlStateOf } from '../postgres/sqlstate.js';
import type { Tables } from '../tables.js';

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

interface BatchContent {
  total: number;
  chunks: number;
  /** SHA-256 of the items in hexadecimal. */
  hash: string;
}

/** Stores the items of an upload before a workflow processes them. */
export function createBatchStagingStore(db: Kysely<Tables>, pool: pg.Pool) {
  return {
    /**
     * Stores a batch with all its items in one transaction. Every chunk except the last must have `itemsPerChunk`
     * items. If `chunks` throws, nothing is stored and the error is rethrown. Keeps only a few chunks in memory.
     */
    async stageBatch(batch: NewBatch, chunks: AsyncIterable<StagedItem[]>): Promise<StageBatchOutcome> {
      const existing = await findBatchContent(db, batch.batchId);
      if (existing) return compareWithExisting(existing, batch, await hashChunks(chunks));
      const client = await pool.connect();
      let content: BatchContent | undefined;
      try {
        await client.query(`begin; set local statement_timeout = 0`);
        const attemptId = await nextAttemptId(client);
        content = await copyChunks(client, attemptId, chunks);
        await client.query(
          `insert into batches (batch_id, operation, items_per_chunk, total, content_hash) values ($1, $2, $3, $4, $5)`,
          [batch.batchId, batch.operation, batch.itemsPerChunk, content.total, content.hash],
        );
        await client.query(
          `insert into batch_attempts (attempt_id, batch_id, attempt, chunk_count, succeeded_before) values ($1, $2, 1, $3, 0)`,
          [attemptId, batch.batchId, content.chunks],
        );
        await client.query('commit');
        client.release();
        return { status: 'staged', total: content.total };
      } catch (error) {
        await client.query('rollback').then(
          () => client.release(),
          () => client.release(true),
        );
        // A concurrent upload may have stored the same batch id first.
        const isIdTaken = sqlStateOf(error) === SQLSTATE.uniqueViolation;
        const first = isIdTaken ? await findBatchContent(db, batch.batchId) : undefined;
        if (!first || !content) throw error;
        return compareWithExisting(first, batch, content.hash);
      }
    },

    async hasBatch(batchId: string): Promise<boolean> {
      return (await findBatchContent(db, batchId)) !== undefined;
    },
  };
}

async function nextAttemptId(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `select nextval(pg_get_serial_sequence('batch_attempts', 'attempt_id'))::int as id`,
  );
  return rows[0]!.id;
}

async function copyChunks(
  client: pg.PoolClient,
  attemptId: number,
  chunks: AsyncIterable<StagedItem[]>,
): Promise<BatchContent> {
  const content = { total: 0, chunks: 0, hash: '' };
  const hash = createHash('sha256');
  async function* rows() {
    for await (const chunk of chunks) {
      const items = chunkToJson(chunk);
      hash.update(items);
      // In COPY's text format, only backslashes need escaping here, because JSON contains no raw tabs or newlines.
      yield `${attemptId}\t${content.chunks}\t${items.replaceAll('\\', '\\\\')}\t${chunk.length}\n`;
      content.chunks += 1;
      content.total += chunk.length;
    }
  }
  const copy = client.query(copyFrom('copy batch_chunks (attempt_id, chunk_index, items, item_count) from stdin'));
  await pipeline(Readable.from(rows(), { highWaterMark: 2 }), copy);
  content.hash = hash.digest('hex');
  return content;
}

async function hashChunks(chunks: AsyncIterable<StagedItem[]>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunkToJson(chunk));
  return hash.digest('hex');
}

const chunkToJson = (chunk: StagedItem[]) =>
  `[${chunk.map(({ line, item }) => `[${line},${JSON.stringify(item)}]`).join(',')}]`;

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
