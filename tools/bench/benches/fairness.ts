import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { createApiKey } from '../../../src/api/plugins/auth/api-keys.js';
import { restock } from '../../../src/batch-operations/restock.js';
import { openConnection } from '../../../src/temporal/connections.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { startTemporaryCluster } from '../../servers/temporal/temporary-cluster.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { createReporter } from '../../terminal/reporter.js';
import type { SampleScale } from '../bench.js';
import { uploadBatch } from '../load/batches.js';
import { addBenchProduct, BENCH_SKU } from '../load/orders.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';

const ROUNDS = 2;

/** Enough chunks for ten children with 20 open chunks each, as in a batch of a million chunks. */
const LARGE_BATCH_CHUNKS = 10_000;
const SMALL_BATCH_CHUNKS = 20;

/** Starts a large batch, and measures a small batch of the same caller and of another caller beside it. */
export async function benchFairness({ scale }: SampleScale): Promise<Comparison[]> {
  const seconds: ValuesByVariant = {};
  const cluster = await startTemporaryCluster(createReporter());
  const { sharedServers } = cluster;
  const [wholesaler, retailer] = [createApiKey(), createApiKey()];
  const apiKeys = Object.entries({ wholesaler, retailer }).map(([id, { hash }]) => ({
    id,
    roles: ['operator'],
    hashes: [hash],
  }));
  const stack = await startTemporaryStack(
    { sharedServers, logLevel: 'warn', applicationEnv: { API_KEYS: JSON.stringify(apiKeys) } },
    { workerCount: 1, apiCount: 1 },
  );
  const connection = await openConnection({ TEMPORAL_ADDRESS: sharedServers.address });
  try {
    const { apiUrl, ownerDatabaseUrl, temporalNamespace: namespace } = stack.addresses;
    const client = new Client({ connection, namespace });
    await addBenchProduct(ownerDatabaseUrl);
    const upload = (caller: { key: string }, chunks: number) => startBatch(client, apiUrl, caller.key, chunks);
    const timeSmallBatch = async (name: string, caller: { key: string }) => {
      const started = performance.now();
      await (await upload(caller, SMALL_BATCH_CHUNKS)).result();
      addValue(seconds, name, (performance.now() - started) / 1000);
    };
    await (await upload(retailer, SMALL_BATCH_CHUNKS)).result();
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      await timeSmallBatch('alone', retailer);
      const large = await upload(wholesaler, LARGE_BATCH_CHUNKS);
      await waitForBacklog(client, large.workflowId);
      await timeSmallBatch('beside a large batch of the same caller', wholesaler);
      await timeSmallBatch('beside a large batch of another caller', retailer);
      await large.cancel();
      await large.result().catch(() => undefined);
    }
  } finally {
    await connection.close();
    await stack.stop();
    await cluster.stop();
  }
  return compareWithFirst(seconds, {
    what: 'small batch',
    unit: 's',
    better: 'less',
    sampleCount: SMALL_BATCH_CHUNKS,
  });
}

/** Starts a batch with one item in each chunk. */
async function startBatch(client: Client, apiUrl: string, apiKey: string, chunks: number) {
  const batchId = await uploadBatch({
    apiUrl,
    operation: restock.name,
    lines: `${JSON.stringify({ sku: BENCH_SKU, quantity: 1 })}\n`.repeat(chunks),
    itemsPerChunk: 1,
    apiKey,
  });
  return client.workflow.getHandle(batchWorkflowId(batchId));
}

/** Waits until the last of the ten children of a large batch has open chunks. */
async function waitForBacklog(client: Client, workflowId: string): Promise<void> {
  const child = client.workflow.getHandle(`${workflowId}/9`);
  for (;;) {
    const description = await child.describe().catch(() => undefined);
    if ((description?.raw.pendingActivities?.length ?? 0) >= 20) return;
    await sleep(100);
  }
}
