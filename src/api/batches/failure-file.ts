import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import type { Operations } from '../../batch-operations/index.js';
import type { FailurePosition } from '../../store/batches/failed-items.js';
import type { Store } from '../../store/index.js';
import { notAcceptable } from '../problems/http-problem.js';
import { assertItemsExist, batchNotFound } from './read.js';
import { unwrapSchema } from './upload/csv-reader.js';
import type { ItemFormat } from './upload/parse-items.js';

/** Number of items per query. Memory holds the items of one query. */
const ITEMS_PER_QUERY = 1_000;

export interface FailureFile {
  /** With a character set for text, because Excel and browsers otherwise guess one. */
  contentType: string;
  name: string;
  content: AsyncIterable<string>;
}

const CONTENT_TYPES: Record<ItemFormat, string> = {
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
};

/**
 * Returns the failed items of a batch as a file in the format of an upload, in the order of the upload. The corrected
 * file can be uploaded as a new batch. CSV has one column per field of the operation; an empty value means that the
 * field is missing.
 *
 * @throws 404; 410 after the retention of the items; 406 for CSV if the operation is no longer registered, because its fields are then unknown.
 */
export async function openFailureFile(
  { store, batchOperations }: { store: Store; batchOperations: Operations },
  batchId: string,
  format: ItemFormat,
): Promise<FailureFile> {
  const operation = await store.findBatchOperation(batchId);
  if (operation === undefined) throw batchNotFound(batchId);
  await assertItemsExist(store, batchId);
  const schema = batchOperations.get(operation)?.itemSchema;
  if (format === 'csv' && !schema)
    throw notAcceptable(`the operation ${operation} does not exist, so its CSV columns are unknown`);
  const columns = schema ? fieldPathsOf(schema) : [];
  const file = { contentType: CONTENT_TYPES[format], name: `${batchId}-failures.${format}` };
  return { ...file, content: format === 'csv' ? csvOf(store, batchId, columns) : ndjsonOf(store, batchId) };
}

/** Sends the file as a stream. Memory holds only the items of one query. */
export const sendFailureFile = (reply: FastifyReply, { contentType, name, content }: FailureFile): never =>
  reply
    .headers({ 'content-type': contentType, 'content-disposition': `attachment; filename="${name}"`, vary: 'accept' })
    .send(Readable.from(content)) as never;

async function* ndjsonOf(store: Store, batchId: string): AsyncGenerator<string> {
  for await (const items of failedItemsOf(store, batchId))
    yield items.map((item) => `${JSON.stringify(item)}\n`).join('');
}

async function* csvOf(store: Store, batchId: string, columns: string[][]): AsyncGenerator<string> {
  yield csvRecord(columns.map((path) => path.join('.')));
  for await (const items of failedItemsOf(store, batchId))
    yield items.map((item) => csvRecord(columns.map((path) => csvValueAt(item, path)))).join('');
}

async function* failedItemsOf(store: Store, batchId: string): AsyncGenerator<unknown[]> {
  let after: FailurePosition | undefined;
  for (;;) {
    const rows = await store.listBatchFailures(batchId, { limit: ITEMS_PER_QUERY, ...(after && { after }) });
    if (rows.length > 0) yield rows.map(({ item }) => item);
    if (rows.length < ITEMS_PER_QUERY) return;
    after = rows.at(-1)!.position;
  }
}

/** The paths of all fields of an item that are not objects, in the order of the schema. */
export function fieldPathsOf(schema: z.core.$ZodType): string[][] {
  const def = unwrapSchema(schema);
  if (def.type !== 'object') return [[]];
  return Object.entries(def.shape).flatMap(([name, field]) => fieldPathsOf(field).map((path) => [name, ...path]));
}

function csvValueAt(item: unknown, path: readonly string[]): string {
  const value = path.reduce<unknown>(
    (object, name) => (object as Record<string, unknown> | null | undefined)?.[name],
    item,
  );
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Quotes values that contain a separator, a quote or white space at an end, which readers may remove. */
const csvRecord = (values: string[]): string =>
  `${values.map((value) => (/[",\r\n;\t]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(',')}\n`;
