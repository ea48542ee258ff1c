import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { ApprovalInput, ApprovalView } from '../../schemas/approval.js';
import { reasonOf, rootFailure } from '../shared/failures.js';
import { openApproval } from './activities.js';
import { registerHandlers } from './handlers.js';
import { conclude } from './outcome.js';
import { awaitDecision, recordCurrentStage, restartLateStage } from './stages.js';
import { ApprovalState } from './state.js';

/**
 * Asks people or external systems for a decision, stage by stage, until an approver decides or the last stage times
 * out. The first decision counts, and the outcome is final. The workflow records the outcome in the store and reports
 * it to the callback URL, if there is one.
 *
 * Completes with the view of the approval, for every outcome. A native cancellation withdraws the approval and ends the
 * run as Cancelled. Invalid input fails with `InvalidInput` and the list of problems. An id that belongs to an approval
 * with different content fails with `ApprovalIdTaken`. If the approval is already closed in the store, the workflow
 * completes immediately with the recorded outcome.
 */
export async function approval(input: ApprovalInput): Promise<ApprovalView> {
  const state = new ApprovalState(input);
  registerHandlers(state);

  await open(state, input);
  await applyEarlyMessages(state);
  const cancellation = await catchCancellation(() => askStageByStage(state));
  if (cancellation) state.withdraw();
  await CancellationScope.nonCancellable(() => conclude(state, input));
  if (cancellation && state.view.status === 'withdrawn') throw cancellation;
  return state.view;
}

/**
 * Parses the input and records the request. A cancellation does not interrupt this step, because decisions that arrive
 * during this step must still count.
 */
async function open(state: ApprovalState, input: ApprovalInput): Promise<void> {
  try {
    const { closed, slackApprovers } = await CancellationScope.nonCancellable(() => openApproval(input, state.opening));
    if (closed) state.replaceView(closed);
    else state.open(input, slackApprovers);
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    state.failToOpen(reasonOf(error));
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw rootFailure(error);
  }
}

/**
 * Waits until the messages that arrived before the approval opened have taken effect. After an early decision, no
 * approver is asked.
 */
async function applyEarlyMessages(state: ApprovalState): Promise<void> {
  await CancellationScope.nonCancellable(() => condition(() => state.earlyMessageCount === 0));
}

/** Asks the approvers of one stage after another until the approval is closed. */
async function askStageByStage(state: ApprovalState): Promise<void> {
  while (!state.isClosed) {
    await restartLateStage(state);
    state.publish();
    await awaitDecision(state);
    if (state.isClosed) return;
    if (state.escalate()) await recordCurrentStage(state);
    else state.timeOut();
  }
}

/** Runs `work`. @returns the cancellation that ended `work`, or undefined when `work` completed. */
async function catchCancellation(work: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure && isCancellation(error)) return error;
    throw error;
  }
}
