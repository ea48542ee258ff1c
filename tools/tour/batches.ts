import { randomUUID } from 'node:crypto';
import { isOpenBatch } from '../../src/schemas/batch.js';
import type { Schemas } from '../api-client/client.js';
import { readAvailableStock } from './order-steps.js';
import type { TourClient, Scenario } from './tour-client.js';

const SKU = 'MUG-ENAMEL';
const ITEMS = 2_000;
const INVALID_LINES = [7, 700, 1_999];

/** Restocks one product; some lines name a product that does not exist. */
const uploadBody = Array.from({ length: ITEMS }, (_, index) =>
  JSON.stringify({ sku: INVALID_LINES.includes(index + 1) ? 'NO-SUCH-MUG' : SKU, quantity: 1 }),
).join('\n');

const formatBatch = ({ status, succeeded, failed, total }: Schemas['Batch']) =>
  `    ${status}: ${succeeded} succeeded, ${failed} failed, of ${total}`;

/** A batch with a new id. */
function createTourBatch(guide: TourClient) {
  const batchId = `tour-${randomUUID()}`;
  const params = { path: { batchId } };
  const read = () => guide.silentApi.GET('/v1/batches/{batchId}', { params });
  return {
    upload() {
      const query = { operation: 'restock', batchId, itemsPerChunk: 5 };
      const headers = { 'content-type': 'application/x-ndjson' };
      const call = { params: { query }, headers, body: uploadBody, bodySerializer: String };
      return guide.expectStatus(202, guide.api.POST('/v1/batches', call));
    },
    begun: () => guide.pollUntil(read, ({ succeeded }) => succeeded > 0, 'the first items'),
    paused: () => guide.pollUntilStable(read, ({ status }) => status === 'paused', 'the pause of the batch'),
    steer: (what: 'pause' | 'resume' | 'retry') =>
      guide.expectStatus(202, guide.api.POST(`/v1/batches/{batchId}/${what}`, { params })),
    failures: () => guide.expectStatus(200, guide.silentApi.GET('/v1/batches/{batchId}/failures', { params })),
    async ended() {
      const batch = await guide.pollUntil(read, ({ status }) => !isOpenBatch(status), `the end of ${batchId}`);
      guide.print(formatBatch(batch));
      return batch;
    },
  };
}

/** The batch: fan-out, fan-in, partial failure. */
export const batchScenarios: Scenario[] = [
  {
    title: 'A batch with invalid items that is paused, resumed and retried',
    async run(guide) {
      const before = await readAvailableStock(guide, SKU);
      const batch = createTourBatch(guide);
      const { total } = await batch.upload();
      guide.assert(total === ITEMS, `${ITEMS} items are stored`);
      await batch.begun();

      await batch.steer('pause');
      const paused = await batch.paused();
      guide.print(formatBatch(paused));
      guide.assert(paused.succeeded + paused.failed < ITEMS, 'the batch is paused before its end');
      await batch.steer('resume');
      const first = await batch.ended();
      guide.printWorkflowLink(first.workflow!);
      guide.assert(first.status === 'completed_with_failures', 'completed, with failures');
      guide.assert(first.failed === INVALID_LINES.length, `${INVALID_LINES.length} items failed, all others succeeded`);
      const failures = await batch.failures();
      for (const { line, reason } of failures.items) guide.print(`    line ${line}: ${reason.type}, ${reason.message}`);
      guide.assert(
        failures.items.map(({ line }) => line).join() === INVALID_LINES.join(),
        'the failed lines are listed',
      );

      await batch.steer('retry');
      const second = await batch.ended();
      guide.assert(second.attempt === 2 && second.chunks === 1, 'the retry had one chunk with the failed items');
      const more = (await readAvailableStock(guide, SKU)) - before;
      guide.assert(more === ITEMS - INVALID_LINES.length, `there are ${more} pieces more, each item counted once`);
    },
  },
];
