import type { AskedBatch } from '../ledger.js';
import { RESTOCKED } from './products.js';
import { aRequest, ask, named, type Visit } from './visit.js';

const BAD_LINES = 3;
const NO_SUCH_SKU = 'CROWD-NO-SUCH-ITEM';

/** Small chunks, so that there are many of them and one is always running. */
const ITEMS_PER_TASK = 10;

/**
 * Uploads the batch with this number, counted from 0. Each line restocks one piece; some lines name a product that does
 * not exist.
 */
export async function restock(visit: Visit, number: number, lines: number): Promise<void> {
  const { id: batchId, caller, random, ledger } = visit;
  const skus = RESTOCKED[number]!.map(({ sku }) => sku);
  const bad = [...new Set(Array.from({ length: BAD_LINES }, () => random.from(1, lines)))].sort((a, b) => a - b);
  const items = Array.from({ length: lines }, (_, index) => (bad.includes(index + 1) ? NO_SUCH_SKU : random.of(skus)));
  const pieces = Object.fromEntries(skus.map((sku) => [sku, items.filter((item) => item === sku).length]));
  const batch: AskedBatch = { ...aRequest(visit, 'upload'), batchId, lines, bad, pieces };
  ledger.batches.push(batch);
  const query = { operation: 'restock', batchId, itemsPerTask: ITEMS_PER_TASK };
  const call = {
    params: { query, header: named(batch) },
    headers: { 'content-type': 'application/x-ndjson' },
    body: items.map((sku) => JSON.stringify({ sku, quantity: 1 })).join('\n'),
    bodySerializer: String,
  };
  await ask(
    visit,
    batch,
    'upload',
    ({ signal }) => caller.api.POST('/v1/batches', { ...call, signal }),
    (said) => `${said.batchId} ${said.total}`,
  );
}
