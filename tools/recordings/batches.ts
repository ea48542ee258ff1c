import type { WorkflowHandle } from '@temporalio/client';
import { pauseSignal, resumeSignal } from '../../src/workflows/batch/contract.js';
import { waitUntil } from '../processes/wait.js';
import { ended, type Recorder, type Recording } from './recorder.js';

const good = { sku: 'MUG-ENAMEL', quantity: 1 };
const bad = { sku: 'NOT-THERE', quantity: 1 };

/** Enough work for several seconds, so that a recording can interrupt it. */
const longItems = Array.from({ length: 60 }, () => good);

/** One chunk more than one workflow can have, so the batch gets two children, and the second has a single chunk. */
const treeItems = Array.from({ length: 1_001 }, () => good);

async function endedTree(recorder: Recorder, batchId: string) {
  return await ended(await recorder.startBatch(batchId, treeItems));
}

async function isOpen(handle: WorkflowHandle): Promise<void> {
  const look = async () => (await handle.describe().catch(() => undefined))?.status.name === 'RUNNING' || undefined;
  await waitUntil(look, { what: `${handle.workflowId} running`, deadlineMs: 60_000 });
}

/** Waits until chunks are running: more than the one activity that starts the batch. */
async function isAtWork(handle: Pick<WorkflowHandle, 'describe' | 'workflowId'>): Promise<void> {
  const look = async () => ((await handle.describe()).raw.pendingActivities ?? []).length > 1 || undefined;
  await waitUntil(look, { what: `${handle.workflowId} at work`, deadlineMs: 60_000, everyMs: 10 });
}

/** How to produce each outcome of a batch. */
export const batchRecordings: Record<string, Recording> = {
  'batch-completed': async (recorder, batchId) => ended(await recorder.startBatch(batchId, [good, good, good])),
  'batch-completed-with-failures': async (recorder, batchId) =>
    ended(await recorder.startBatch(batchId, [good, bad, good])),
  'batch-retried': async (recorder, batchId) => {
    await ended(await recorder.startBatch(batchId, [good, bad]));
    return await ended(await recorder.runBatch(batchId));
  },
  'batch-paused-and-resumed': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, longItems);
    await isAtWork(handle);
    await handle.signal(pauseSignal);
    await handle.signal(resumeSignal);
    return await ended(handle);
  },
  'batch-cancelled': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, longItems);
    await isAtWork(handle);
    await handle.cancel();
    return await ended(handle);
  },
  'batch-with-children': endedTree,
  'batch-shard': async (recorder, batchId) => {
    const { workflowId } = await endedTree(recorder, batchId);
    return { workflowId: `${workflowId}/1` };
  },
  'batch-child-terminated': async (recorder, batchId) => {
    const handle = await recorder.startBatch(batchId, treeItems);
    const child = recorder.handleOf(`${handle.workflowId}/0`);
    await isOpen(child);
    await handle.signal(pauseSignal);
    await child.terminate('recorded');
    await handle.signal(resumeSignal);
    return await ended(handle);
  },
  'batch-failed-invalid-input': async (recorder, batchId) => ended(await recorder.runBatch(batchId, {})),
  'batch-failed-not-found': async (recorder, batchId) => ended(await recorder.runBatch(batchId)),
};
