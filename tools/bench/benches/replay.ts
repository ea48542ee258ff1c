import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { replay, type Bundle, type Recorded } from '../../replay/replay.js';
import { startTemporaryStack } from '../../stack/stack.js';
import { restock } from '../../../src/batch-operations/restock.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startBare } from '../programs/bare.js';
import { runBatch } from './batch.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByClient, SKU, stockUp } from './orders.js';
import { inParallel } from '../measure/sample.js';

const ROUNDS = 5;
const HISTORIES = 150;
const WARM_UP = 10;
const AT_ONCE = 10;
const TASKS = 1_000;
const BATCHES = 5;

/** Histories to replay; the first ones only warm up. */
interface Sequence {
  bundle: Bundle;
  histories: Recorded[];
}

/** The speed at which workflows are replayed from their histories, as after a restart or an eviction from the cache. */
export async function benchReplay({ take }: Effort): Promise<Figure[]> {
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' });
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const stops = [() => stack.stop()];
  try {
    const bare = await startBare(temporalAddress);
    stops.unshift(() => bare.stop());
    const connection = await Connection.connect({ address: temporalAddress });
    stops.unshift(() => connection.close());
    const client = new Client({ connection });
    await stockUp(ownerDatabaseUrl);
    const shop = await bundleWorkflows(new DefaultLogger('WARN'));

    const count = WARM_UP + take(HISTORIES);
    const bareRuns = await inParallel(count, AT_ONCE, () => bare.run('threeActivities'));
    const orders = await inParallel(count, AT_ONCE, () => sellByClient(client));
    const lines = Array.from({ length: take(TASKS) }, () =>
      Buffer.from(`${JSON.stringify({ sku: SKU, quantity: 1 })}\n`),
    );
    const { batchId } = await runBatch({ apiUrl, operation: restock.name, lines, itemsPerTask: 1 });

    const histories = {
      bare: await historiesOf(
        bare.client,
        bareRuns.map(({ workflowId }) => workflowId),
      ),
      orders: await historiesOf(client, orders.map(orderWorkflowId)),
      batch: await historiesOf(client, Array<string>(take(BATCHES)).fill(batchWorkflowId(batchId))),
    };
    const warmUp = histories.orders.slice(0, WARM_UP);
    const bareOne = 'bare workflow, 3 regular activities';
    const batch = `a batch of ${take(TASKS)} tasks`;
    const contenders: Record<string, Sequence> = {
      [bareOne]: { bundle: { codePath: bare.bundle }, histories: histories.bare },
      orders: { bundle: shop, histories: histories.orders },
      [batch]: { bundle: shop, histories: [...warmUp, ...histories.batch] },
    };
    const perSecond: Measured = {};
    for (let round = 0; round < take(ROUNDS); round += 1) {
      for (const [name, sequence] of Object.entries(contenders)) note(perSecond, name, await eventsPerSecond(sequence));
    }
    const { [batch]: ofBatches = [], ...ofMany } = perSecond;
    const { [bareOne]: base = [] } = perSecond;
    const shown = { what: 'events', unit: 'a second', better: 'more' } as const;
    return [
      ...besideFirst(ofMany, { ...shown, of: take(HISTORIES) }),
      ...besideFirst({ [bareOne]: base, [batch]: ofBatches }, { ...shown, of: take(BATCHES) }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

async function historiesOf(client: Client, workflowIds: string[]): Promise<Recorded[]> {
  const histories: Recorded[] = [];
  for (const workflowId of workflowIds) {
    const handle = client.workflow.getHandle(workflowId);
    const { runId, type } = await handle.describe();
    histories.push({ workflowId, runId, type, history: await handle.fetchHistory() });
  }
  return histories;
}

/** @throws when the code does not replay one of the histories. */
async function eventsPerSecond({ bundle, histories }: Sequence): Promise<number> {
  let [done, events, started] = [0, 0, 0];
  for await (const { workflowId, history, difference } of replay(histories, { workflowBundle: bundle })) {
    if (difference) throw new Error(`${workflowId} does not replay: ${difference.what}`);
    if (done >= WARM_UP) events += history.events!.length;
    done += 1;
    if (done === WARM_UP) started = performance.now();
  }
  return (events * 1000) / (performance.now() - started);
}
