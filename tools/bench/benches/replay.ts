import type { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { replayHistories, type Bundle, type RecordedHistory } from '../../replay/replay-histories.js';
import { restock } from '../../../src/batch-operations/restock.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { withOrderServers } from '../programs/order-servers.js';
import { uploadAndAwaitBatch } from './batch.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, BENCH_SKU } from '../load/orders.js';
import { collectConcurrently } from '../measure/sampling.js';

const ROUNDS = 5;
const HISTORY_COUNT = 150;
const WARM_UP = 10;
const CONCURRENCY = 10;
const BATCH_CHUNKS = 1_000;
const BATCH_REPLAYS = 5;

/** The histories to replay. The first `WARM_UP` of them are not measured. */
interface ReplayInput {
  bundle: Bundle;
  histories: RecordedHistory[];
}

/** Measures how fast workflows replay from their histories. Workers do this after a restart or a cache eviction. */
export async function benchReplay({ scale }: SampleScale): Promise<Comparison[]> {
  return await withOrderServers({ settings: { logLevel: 'warn' } }, async ({ apiUrl, client, noopWorker }) => {
    const shop = await bundleWorkflows(new DefaultLogger('WARN'));

    const count = WARM_UP + scale(HISTORY_COUNT);
    const noopRuns = await collectConcurrently(count, CONCURRENCY, () => noopWorker.run('threeActivities'));
    const orders = await collectConcurrently(count, CONCURRENCY, () => completeOrderByClient(client));
    const lines = Array.from({ length: scale(BATCH_CHUNKS) }, () =>
      Buffer.from(`${JSON.stringify({ sku: BENCH_SKU, quantity: 1 })}\n`),
    );
    const { batchId } = await uploadAndAwaitBatch({ apiUrl, operation: restock.name, lines, itemsPerChunk: 1 });

    const histories = {
      noop: await fetchHistories(
        noopWorker.client,
        noopRuns.map(({ workflowId }) => workflowId),
      ),
      orders: await fetchHistories(client, orders.map(orderWorkflowId)),
      batch: await fetchHistories(client, Array<string>(scale(BATCH_REPLAYS)).fill(batchWorkflowId(batchId))),
    };
    const warmUp = histories.orders.slice(0, WARM_UP);
    const noopName = '3 no-op activities';
    const batch = `a batch of ${scale(BATCH_CHUNKS)} chunks`;
    const variants: Record<string, ReplayInput> = {
      [noopName]: { bundle: { codePath: noopWorker.bundlePath }, histories: histories.noop },
      orders: { bundle: shop, histories: histories.orders },
      [batch]: { bundle: shop, histories: [...warmUp, ...histories.batch] },
    };
    const perSecond: ValuesByVariant = {};
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const [name, sequence] of Object.entries(variants))
        addValue(perSecond, name, await measureEventsPerSecond(sequence));
    }
    const { [batch]: ofBatches = [], ...ofMany } = perSecond;
    const { [noopName]: base = [] } = perSecond;
    const shown = { what: 'events', unit: 'per second', better: 'more' } as const;
    return [
      ...compareWithFirst(ofMany, { ...shown, sampleCount: scale(HISTORY_COUNT) }),
      ...compareWithFirst({ [noopName]: base, [batch]: ofBatches }, { ...shown, sampleCount: scale(BATCH_REPLAYS) }),
    ];
  });
}

async function fetchHistories(client: Client, workflowIds: string[]): Promise<RecordedHistory[]> {
  const histories: RecordedHistory[] = [];
  for (const workflowId of workflowIds) {
    const handle = client.workflow.getHandle(workflowId);
    const { runId, type } = await handle.describe();
    histories.push({ workflowId, runId, workflowType: type, history: await handle.fetchHistory() });
  }
  return histories;
}

/** @throws when a history does not replay. */
async function measureEventsPerSecond({ bundle, histories }: ReplayInput): Promise<number> {
  let [done, events, started] = [0, 0, 0];
  for await (const { workflowId, history, difference } of replayHistories(histories, { workflowBundle: bundle })) {
    if (difference) throw new Error(`${workflowId} does not replay: ${difference.description}`);
    if (done >= WARM_UP) events += history.events!.length;
    done += 1;
    if (done === WARM_UP) started = performance.now();
  }
  return (events * 1000) / (performance.now() - started);
}
