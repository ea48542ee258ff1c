import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { batchFailure, batchResource, isOpenBatch, type BatchResource } from '../../src/schemas/batch.js';
import { pageOf } from '../../src/schemas/page.js';
import { available } from './order-steps.js';
import type { Guide, Scene } from './guide.js';

const SKU = 'MUG-ENAMEL';
const ITEMS = 2_000;
const BAD_LINES = [7, 700, 1_999];

/** Restocks one product, with some lines about a product that does not exist. */
const upload = Array.from({ length: ITEMS }, (_, index) =>
  JSON.stringify({ sku: BAD_LINES.includes(index + 1) ? 'NO-SUCH-MUG' : SKU, quantity: 1 }),
).join('\n');

const accepted = z.object({ batchId: z.string(), total: z.int() });

const shown = ({ status, succeeded, failed, total }: BatchResource) =>
  `    ${status}: ${succeeded} succeeded, ${failed} failed, of ${total}`;

async function steer(guide: Guide, path: string, what: 'pause' | 'resume' | 'retry'): Promise<void> {
  batchResource.parse(await guide.expect(202, 'POST', `${path}/${what}`));
}

async function ended(guide: Guide, path: string): Promise<BatchResource> {
  const over = ({ status }: BatchResource) => !isOpenBatch(status);
  const batch = await guide.watch(path, batchResource, over, `the end of ${path}`);
  guide.say(shown(batch));
  return batch;
}

/** The batch: fan-out, fan-in, partial failure. */
export const batchScenes: Scene[] = [
  {
    title: 'A batch with some bad items, which is paused, resumed and retried',
    async play(guide) {
      const before = await available(guide, SKU);
      const batchId = `tour-${randomUUID()}`;
      const path = `/v1/batches/${batchId}`;
      const query = `operation=restock&batchId=${batchId}&itemsPerTask=5`;
      const headers = { 'content-type': 'application/x-ndjson' };
      const { total } = accepted.parse(await guide.expect(202, 'POST', `/v1/batches?${query}`, upload, headers));
      guide.check(total === ITEMS, `${ITEMS} items are stored`);
      await guide.watch(path, batchResource, ({ succeeded }) => succeeded > 0, 'the first items');

      await steer(guide, path, 'pause');
      const paused = await guide.settled(path, batchResource, ({ status }) => status === 'paused');
      guide.say(shown(paused));
      guide.check(paused.succeeded + paused.failed < ITEMS, 'it stands still before its end');
      await steer(guide, path, 'resume');
      const first = await ended(guide, path);
      guide.show(first.workflow!);
      guide.check(first.status === 'completed_with_failures', 'completed, with failures');
      guide.check(first.failed === BAD_LINES.length, `${BAD_LINES.length} items failed, all others succeeded`);
      const failures = pageOf(batchFailure).parse((await guide.request('GET', `${path}/failures`)).body);
      for (const { line, reason } of failures.items) guide.say(`    line ${line}: ${reason.type}, ${reason.message}`);
      guide.check(failures.items.map(({ line }) => line).join() === BAD_LINES.join(), 'the failed lines are listed');

      await steer(guide, path, 'retry');
      const second = await ended(guide, path);
      guide.check(second.round === 2 && second.tasks === 1, 'the retry had one task, with what had failed');
      const more = (await available(guide, SKU)) - before;
      guide.check(more === ITEMS - BAD_LINES.length, `there are ${more} pieces more, each item counted once`);
    },
  },
];
