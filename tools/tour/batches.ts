import { randomUUID } from 'node:crypto';
import { isOpenBatch } from '../../src/schemas/batch.js';
import type { Schemas } from '../api-client/client.js';
import { available } from './order-steps.js';
import type { Guide, Scene } from './guide.js';

const SKU = 'MUG-ENAMEL';
const ITEMS = 2_000;
const BAD_LINES = [7, 700, 1_999];

/** Restocks one product; some lines name a product that does not exist. */
const upload = Array.from({ length: ITEMS }, (_, index) =>
  JSON.stringify({ sku: BAD_LINES.includes(index + 1) ? 'NO-SUCH-MUG' : SKU, quantity: 1 }),
).join('\n');

const shown = ({ status, succeeded, failed, total }: Schemas['Batch']) =>
  `    ${status}: ${succeeded} succeeded, ${failed} failed, of ${total}`;

/** A batch with a new id. */
function aBatch(guide: Guide) {
  const batchId = `tour-${randomUUID()}`;
  const params = { path: { batchId } };
  const read = () => guide.quiet.GET('/v1/batches/{batchId}', { params });
  return {
    upload() {
      const query = { operation: 'restock', batchId, itemsPerTask: 5 };
      const headers = { 'content-type': 'application/x-ndjson' };
      const call = { params: { query }, headers, body: upload, bodySerializer: String };
      return guide.expect(202, guide.api.POST('/v1/batches', call));
    },
    begun: () => guide.watch(read, ({ succeeded }) => succeeded > 0, 'the first items'),
    paused: () => guide.settled(read, ({ status }) => status === 'paused', 'the batch coming to rest'),
    steer: (what: 'pause' | 'resume' | 'retry') =>
      guide.expect(202, guide.api.POST(`/v1/batches/{batchId}/${what}`, { params })),
    failures: () => guide.expect(200, guide.quiet.GET('/v1/batches/{batchId}/failures', { params })),
    async ended() {
      const batch = await guide.watch(read, ({ status }) => !isOpenBatch(status), `the end of ${batchId}`);
      guide.say(shown(batch));
      return batch;
    },
  };
}

/** The batch: fan-out, fan-in, partial failure. */
export const batchScenes: Scene[] = [
  {
    title: 'A batch with some bad items, which is paused, resumed and retried',
    async play(guide) {
      const before = await available(guide, SKU);
      const batch = aBatch(guide);
      const { total } = await batch.upload();
      guide.check(total === ITEMS, `${ITEMS} items are stored`);
      await batch.begun();

      await batch.steer('pause');
      const paused = await batch.paused();
      guide.say(shown(paused));
      guide.check(paused.succeeded + paused.failed < ITEMS, 'it stands still before its end');
      await batch.steer('resume');
      const first = await batch.ended();
      guide.show(first.workflow!);
      guide.check(first.status === 'completed_with_failures', 'completed, with failures');
      guide.check(first.failed === BAD_LINES.length, `${BAD_LINES.length} items failed, all others succeeded`);
      const failures = await batch.failures();
      for (const { line, reason } of failures.items) guide.say(`    line ${line}: ${reason.type}, ${reason.message}`);
      guide.check(failures.items.map(({ line }) => line).join() === BAD_LINES.join(), 'the failed lines are listed');

      await batch.steer('retry');
      const second = await batch.ended();
      guide.check(second.round === 2 && second.tasks === 1, 'the retry had one task, with what had failed');
      const more = (await available(guide, SKU)) - before;
      guide.check(more === ITEMS - BAD_LINES.length, `there are ${more} pieces more, each item counted once`);
    },
  },
];
