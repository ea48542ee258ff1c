import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import type { BatchResource } from '../../schemas/batch.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { withServerDeadline } from '../../temporal/client/deadlines.js';
import { isNotFound } from '../../temporal/grpc-errors.js';
import { listUnprocessedSignals } from '../../temporal/client/history.js';
import { signalOnce } from '../../temporal/client/signal-once.js';
import { batchWorkflowId, pauseSignal, resumeSignal } from '../../workflows/batch/contract.js';
import { httpProblem } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { getBatch, type BatchDependencies } from './read.js';
import { isRunningOrPaused, statusOf } from './status.js';

/** Pauses a batch: no further chunk starts until the batch is resumed. @throws 404, 409 when the batch has ended. */
export async function pauseBatch(
  deps: BatchDependencies,
  batchId: string,
  operationId?: string,
): Promise<BatchResource> {
  return await sendCommand(deps, batchId, pauseSignal, operationId);
}

/**
 * Resumes a batch. If no worker is available, the batch continues when a worker starts. @throws 404, 409 when the batch
 * has ended.
 */
export async function resumeBatch(
  deps: BatchDependencies,
  batchId: string,
  operationId?: string,
): Promise<BatchResource> {
  return await sendCommand(deps, batchId, resumeSignal, operationId);
}

/**
 * Cancels a batch. Does not roll back processed items. @throws 404, 409 when the batch has ended with another status.
 */
export async function cancelBatch(deps: BatchDependencies, batchId: string): Promise<BatchResource> {
  const batch = await getBatch(deps, batchId);
  if (batch.status === 'cancelled') return batch;
  if (!isRunningOrPaused(batch.status)) throw notOpenProblem(batch);
  const { client } = deps;
  try {
    await withServerDeadline(client, () => client.workflow.getHandle(batchWorkflowId(batchId)).cancel());
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw notOpenProblem(await getBatch(deps, batchId));
  }
  return await getBatch(deps, batchId);
}

/** Sends a signal to an open batch, unless the batch is already in the requested state. @throws 404, 409. */
async function sendCommand(
  deps: BatchDependencies,
  batchId: string,
  command: SignalDefinition,
  operationId: string = randomUUID(),
): Promise<BatchResource> {
  const { client } = deps;
  const workflowId = batchWorkflowId(batchId);
  if (await isLastCommand(client, workflowId, command)) return await getBatch(deps, batchId);
  const isOpen = await signalOnce(client, workflowId, { signal: command, args: [], operationId });
  const batch = await getBatch(deps, batchId);
  if (!isOpen) throw notOpenProblem(batch);
  return batch;
}

/**
 * Whether this command is the last command that the open batch received. A client may repeat a pause while no worker is
 * available. The repeated pause must not send a signal, because a run accepts only 10,000 signals.
 */
async function isLastCommand(client: Client, workflowId: string, { name }: SignalDefinition): Promise<boolean> {
  const description = await describeWorkflow(client, { workflowId });
  if (!description || !isOpen(description)) return false;
  if (description.raw.pendingWorkflowTask) {
    const signals = await listUnprocessedSignals(client, description);
    return signals.find((signal) => signal === pauseSignal.name || signal === resumeSignal.name) === name;
  }
  return statusOf(description) === (name === pauseSignal.name ? 'paused' : 'running');
}

const notOpenProblem = ({ batchId, status }: BatchResource) =>
  status === 'staged'
    ? httpProblem('batch-not-started', `batch ${batchId} is stored but not started; start it with retry`, { batchId })
    : httpProblem('batch-closed', `batch ${batchId} is ${status}`, { batchId });
