import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { ApprovalInput, ApprovalView } from '../../schemas/approval.js';
import { reasonOf, rootFailure } from '../shared/failures.js';
import { openApproval, recordOutcome, reportOutcome } from './activities.js';
import { registerHandlers } from './handlers.js';
import { awaitDecision, recordCurrentStage, restartLateStage } from './stages.js';
import { ApprovalState } from './state.js';

/**
 * Asks approvers or systems for a decision, stage by stage, until one decides or the last stage times out. The first
 * decision counts. The outcome is final. The workflow records it in the store and reports it to the callback URL, if
 * any.
 *
 * Completes with the approval's view, whatever the outcome. A native cancellation withdraws the approval and ends the
 * run as Cancelled. Invalid input fails with `InvalidInput` and the list of problems, and an id that belongs to other
 * content with `ApprovalIdTaken`. An approval that is already closed in the store completes at once with the recorded
 * outcome.
 */
export async function approval(input: ApprovalInput): Promise<ApprovalView> {
  const state = new ApprovalState(input);
  registerHandlers(state);

  await open(state, input);
  await applyEarlyMessages(state);
  const cancellation = await catchCancellation(() => askStageByStage(state, input));
  if (cancellation) state.withdraw();
  await CancellationScope.nonCancellable(async () => {
    await recordChanges(state);
    await reportToCallback(state, input);
    await recordLateMessages(state);
  });
  if (cancellation && state.view.status === 'withdrawn') throw cancellation;
  return state.view;
}

/**
 * Parses the input and records the request. A cancellation does not interrupt this, because decisions that were
 * accepted meanwhile take precedence.
 */
async function open(state: ApprovalState, input: ApprovalInput): Promise<void> {
  try {
    const { closed } = await CancellationScope.nonCancellable(() => openApproval(input, state.opening));
    if (closed) state.replaceView(closed);
    else state.open(input);
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    state.reject(reasonOf(error));
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw rootFailure(error);
  }
}

/** Lets the messages that arrived before the approval opened take effect, so that an early decision needs no request. */
async function applyEarlyMessages(state: ApprovalState): Promise<void> {
  await CancellationScope.nonCancellable(() => condition(() => state.earlyMessageCount === 0));
}

/** Asks one stage after the other until the approval is closed. */
async function askStageByStage(state: ApprovalState, { onTimeout }: ApprovalInput): Promise<void> {
  while (!state.isClosed) {
    await restartLateStage(state);
    state.publish();
    await awaitDecision(state);
    if (state.isClosed) return;
    if (state.escalate()) await recordCurrentStage(state);
    else state.timeOut(onTimeout);
  }
}

/** Records the view until the store has all changes. The recorded outcome replaces the view, because it is final. */
async function recordChanges(state: ApprovalState): Promise<void> {
  while (state.hasChanges) {
    state.hasChanges = false;
    const recorded = await recordOutcome(state.view, new Date().toISOString());
    if (!state.hasChanges) state.replaceView(recorded);
  }
}

/** Reports the outcome to the callback URL, if any. A failed report is visible in the view; the outcome stays. */
async function reportToCallback(state: ApprovalState, { callbackUrl }: ApprovalInput): Promise<void> {
  const { approvalId, status, decision, withdrawal, callbackDelivery } = state.view;
  if (callbackUrl === undefined || callbackDelivery?.status === 'delivered') return;
  state.setCallbackDelivery({ status: 'pending' });
  try {
    await reportOutcome({
      callbackUrl,
      firstRunId: state.firstRunId,
      outcome: { approvalId, status, ...(decision && { decision }), ...(withdrawal && { withdrawal }) },
    });
    state.setCallbackDelivery({ status: 'delivered' });
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    state.setCallbackDelivery({ status: 'failed', reason: reasonOf(error) });
  }
}

/** Records what the callback and the messages since the outcome have changed, once all handlers have responded. */
async function recordLateMessages(state: ApprovalState): Promise<void> {
  await condition(allHandlersFinished);
  while (state.hasChanges) {
    await recordChanges(state);
    await condition(allHandlersFinished);
  }
}

/** @returns the cancellation that ended `work`, or undefined when `work` completed. */
async function catchCancellation(work: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure && isCancellation(error)) return error;
    throw error;
  }
}
