import type { LoggedBatch } from '../../client-log.js';
import { PRODUCTS_BY_BATCH } from '../products.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

const INVALID_LINES = 3;
const UNKNOWN_SKU = 'LOAD-NO-SUCH-ITEM';

/** Small, so that the batch has many chunks and a fault interrupts at least one of them. */
const ITEMS_PER_CHUNK = 10;

/**
 * Uploads a batch. `number` counts from 0 and selects its products. Each line restocks one unit. Some lines contain an
 * unknown SKU and must fail.
 */
export async function uploadRestockBatch(session: ClientSession, number: number, lines: number): Promise<void> {
  const { id: batchId, http, random, log } = session;
  const skus = PRODUCTS_BY_BATCH[number]!.map(({ sku }) => sku);
  const invalidLines = [...new Set(Array.from({ length: INVALID_LINES }, () => random.integer(1, lines)))].sort(
    (a, b) => a - b,
  );
  const items = Array.from({ length: lines }, (_, index) =>
    invalidLines.includes(index + 1) ? UNKNOWN_SKU : random.pick(skus),
  );
  const quantityBySku = Object.fromEntries(skus.map((sku) => [sku, items.filter((item) => item === sku).length]));
  const batch: LoggedBatch = {
    ...createRequest(session, 'upload'),
    batchId,
    lineCount: lines,
    invalidLines,
    quantityBySku,
  };
  log.batches.push(batch);
  const query = { operation: 'restock', batchId, itemsPerChunk: ITEMS_PER_CHUNK };
  const call = {
    params: { query, header: idempotencyHeader(batch) },
    headers: { 'content-type': 'application/x-ndjson' },
    body: items.map((sku) => JSON.stringify({ sku, quantity: 1 })).join('\n'),
    bodySerializer: String,
  };
  await sendRequest(
    session,
    batch,
    'upload',
    ({ signal }) => http.api.POST('/v1/batches', { ...call, signal }),
    ({ batchId, total }) => `${batchId} ${total}`,
  );
}
