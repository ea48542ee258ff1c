import type { WorkflowHandle } from '@temporalio/client';
import { pauseSignal, resumeSignal } from '../../src/workflows/batch/contract.js';
import { waitUntil } from '../processes/wait.js';
import { waitForClose, type Recorder, type Recording } from './recorder.js';

const validItem = { sku: 'MUG-ENAMEL', quantity: 1 };
const invalidItem = { sku: 'NOT-THERE', quantity: 1 };

/** Items for several seconds of work, so that a recording can interrupt the batch. */
const longItems = Array.from({ length: 60 }, () => validItem);

/**
 * These items make one chunk more than a workflow may have, because each chunk has one item. So the batch gets two
 * children, and the second child has a single chunk.
 */
const treeItems = Array.from({ length: 1_001 }, () => validItem);

async function runBatchTree(recorder: Recorder, batchId: string) {
  return await waitForClose(await recorder.startBatch(batchId, treeItems));
}

async function waitUntilOpen(handle: WorkflowHandle): Promise<void> {
  const checkRunning = async () =>
    (await handle.describe().catch(() => undefined))?.status.name === 'RUNNING' || undefined;
  await waitUntil(checkRunning, { description: `${handle.workflowId} running`, timeoutMs: 60_000 });
}

/**
 * Waits until more than one activity runs. The activity that starts the batch runs alone, so the other ones process
 * chunks.
 */
async function waitUntilProcessing(handle: Pick<WorkflowHandle, 'describe' | 'workflowId'>): Promise<void> {
  const checkProcessing = async () => ((await handle.describe()).raw.pendingActivities ?? []).length > 1 || undefined;
  await waitUntil(checkProcessing, {
    description: `${handle.workflowId} processing chunks`,
    timeoutMs: 60_000,
    intervalMs: 10,
  });
}

/** The recordings of batches. */
export const batchRecordings: Record<string, Recording> = {
  'batch-completed': async (recorder, batchId) =>
    waitForClose(await recorder.startBatch(batchId, [validItem, validItem, validItem])),
  'batch-completed-with-failures': async (recorder, batchId) =>
    waitForClose(await recorder.startBatch(batchId, [validItem, invalidItem, validItem])),
  'batch-retried': async (recorder, batchId) => {
    await waitForClose(await recorder.startBatch(batchId, [validItem, invalidItem]));
    return await waitForClose(await recorder.runBatch(batchId));
  },
  'batch-paused-and-resumed': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, longItems);
    await waitUntilProcessing(handle);
    await handle.signal(pauseSignal);
    await handle.signal(resumeSignal);
    return await waitForClose(handle);
  },
  'batch-cancelled': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, longItems);
    await waitUntilProcessing(handle);
    await handle.cancel();
    return await waitForClose(handle);
  },
  'batch-with-children': runBatchTree,
  'batch-shard': async (recorder, batchId) => {
    const { workflowId } = await runBatchTree(recorder, batchId);
    return { workflowId: `${workflowId}/1` };
  },
  'batch-child-terminated': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, treeItems);
    const child = recorder.getHandle(`${handle.workflowId}/0`);
    await waitUntilOpen(child);
    await handle.signal(pauseSignal);
    await child.terminate('recorded');
    await handle.signal(resumeSignal);
    return await waitForClose(handle);
  },
  'batch-failed-invalid-input': async (recorder, batchId) => waitForClose(await recorder.runBatch(batchId, {})),
  'batch-failed-not-found': async (recorder, batchId) => waitForClose(await recorder.runBatch(batchId)),
};
