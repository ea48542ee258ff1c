import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, condition } from '@temporalio/workflow';
import type { ApprovalInput } from '../../schemas/approval.js';
import { reasonOf } from '../shared/failures.js';
import { recordOutcome, reportOutcome } from './activities.js';
import type { ApprovalState } from './state.js';

/** Records the outcome in the store, reports it to the callback URL, and waits until all handlers have responded. */
export async function conclude(state: ApprovalState, input: ApprovalInput): Promise<void> {
  await recordChanges(state);
  await reportToCallback(state, input);
  await recordLateMessages(state);
}

/**
 * Records the view until the store has all changes. The recorded view then replaces the view, because its outcome is
 * final.
 */
async function recordChanges(state: ApprovalState): Promise<void> {
  while (state.hasChanges) {
    state.hasChanges = false;
    const recorded = await recordOutcome(state.view, new Date().toISOString());
    if (!state.hasChanges) state.replaceView(recorded);
  }
}

/**
 * Reports the outcome to the callback URL, if there is one. If the report fails, the view shows the failure and the
 * outcome does not change.
 */
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

/**
 * Waits until all handlers have responded. Records the changes that the callback report and late messages have made.
 */
async function recordLateMessages(state: ApprovalState): Promise<void> {
  await condition(allHandlersFinished);
  while (state.hasChanges) {
    await recordChanges(state);
    await condition(allHandlersFinished);
  }
}
