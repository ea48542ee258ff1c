import { randomUUID } from 'node:crypto';
import { isOpenBatch } from '../../src/schemas/batch.js';
import type { Schemas } from '../api-client/client.js';
import { readAvailableStock } from './order-steps.js';
import type { TourClient, Scenario } from './tour-client.js';

const SKU = 'MUG-ENAMEL';
const ITEMS = 2_000;
const INVALID_LINES = [7, 700, 1_999];

/** Each line restocks one unit of one product. Some lines contain an unknown SKU. */
const uploadBody = Array.from({ length: ITEMS }, (_, index) =>
  JSON.stringify({ sku: INVALID_LINES.includes(index + 1) ? 'NO-SUCH-MUG' : SKU, quantity: 1 }),
).join('\n');

const formatBatch = ({ status, succeeded, failed, total }: Schemas['Batch']) =>
  `    ${status}: ${succeeded} succeeded, ${failed} failed, of ${total}`;

/** Returns the steps of the tour for a batch with a new id. */
function createTourBatch(client: TourClient) {
  const batchId = `tour-${randomUUID()}`;
  const params = { path: { batchId } };
  const read = () => client.silentApi.GET('/v1/batches/{batchId}', { params });
  return {
    upload() {
      const query = { operation: 'restock', batchId, itemsPerChunk: 5 };
      const headers = { 'content-type': 'application/x-ndjson' };
      const call = { params: { query }, headers, body: uploadBody, bodySerializer: String };
      return client.expectStatus(202, client.api.POST('/v1/batches', call));
    },
    waitForFirstItems: () => client.pollUntil(read, ({ succeeded }) => succeeded > 0, 'the first items'),
    waitUntilPaused: () => client.pollUntilStable(read, ({ status }) => status === 'paused', 'the pause of the batch'),
    control: (action: 'pause' | 'resume' | 'retry') =>
      client.expectStatus(202, client.api.POST(`/v1/batches/{batchId}/${action}`, { params })),
    readFailures: () => client.expectStatus(200, client.silentApi.GET('/v1/batches/{batchId}/failures', { params })),
    async waitForEnd() {
      const batch = await client.pollUntil(read, ({ status }) => !isOpenBatch(status), `the end of ${batchId}`);
      client.print(formatBatch(batch));
      return batch;
    },
  };
}

/** Scenario of a batch: fan-out, fan-in and partial failure. */
export const batchScenarios: Scenario[] = [
  {
    title: 'A batch with invalid items that is paused, resumed and retried',
    async run(client) {
      const before = await readAvailableStock(client, SKU);
      const batch = createTourBatch(client);
      const { total } = await batch.upload();
      client.assert(total === ITEMS, `${ITEMS} items are stored`);
      await batch.waitForFirstItems();

      await batch.control('pause');
      const paused = await batch.waitUntilPaused();
      client.print(formatBatch(paused));
      client.assert(paused.succeeded + paused.failed < ITEMS, 'the batch is paused before its end');
      await batch.control('resume');
      const first = await batch.waitForEnd();
      client.printWorkflowLink(first.workflow!);
      client.assert(first.status === 'completed_with_failures', 'completed, with failures');
      client.assert(
        first.failed === INVALID_LINES.length,
        `${INVALID_LINES.length} items failed, all others succeeded`,
      );
      const failures = await batch.readFailures();
      for (const { line, reason } of failures.items)
        client.print(`    line ${line}: ${reason.type}, ${reason.message}`);
      client.assert(
        failures.items.map(({ line }) => line).join() === INVALID_LINES.join(),
        'the failed lines are listed',
      );

      await batch.control('retry');
      const second = await batch.waitForEnd();
      client.assert(second.attempt === 2 && second.chunks === 1, 'the retry had one chunk with the failed items');
      const more = (await readAvailableStock(client, SKU)) - before;
      client.assert(more === ITEMS - INVALID_LINES.length, `there are ${more} pieces more, each item counted once`);
    },
  },
];
