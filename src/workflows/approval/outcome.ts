import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, condition, patched } from '@temporalio/workflow';
import type { OutcomeReport } from '../../activities/approvals.js';
import type { ApprovalInput } from '../../schemas/approval.js';
import { reasonOf } from '../shared/failures.js';
import { recordOutcome, reportOutcome, startOutcomeReport } from './activities.js';
import { outcomeReportId } from './contract.js';
import { showOutcomeInSlack } from './slack-messages.js';
import type { ApprovalState } from './state.js';

/**
 * Records the outcome in the store, shows it in Slack, reports it to the callback URL, and waits until all handlers have
 * responded.
 */
export async function conclude(state: ApprovalState, input: ApprovalInput): Promise<void> {
  await recordChanges(state);
  const slackUpdates = showOutcomeInSlack(state);
  await reportToCallback(state, input);
  await slackUpdates;
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
 * Reports the outcome to the callback URL, if there is one. A standalone activity continues after the workflow has
 * closed. If the server has no standalone activities, the workflow waits for the report. If the report fails, the view
 * shows the failure and the outcome does not change.
 */
async function reportToCallback(state: ApprovalState, { callbackUrl }: ApprovalInput): Promise<void> {
  const { approvalId, status, decision, withdrawal, callbackDelivery } = state.view;
  if (callbackUrl === undefined || callbackDelivery?.status === 'delivered') return;
  state.setCallbackDelivery({ status: 'pending' });
  const report = {
    callbackUrl,
    firstRunId: state.firstRunId,
    outcome: { approvalId, status, ...(decision && { decision }), ...(withdrawal && { withdrawal }) },
  };
  try {
    if (await startsStandalone(report)) {
      state.setCallbackDelivery({ status: 'pending', activityId: outcomeReportId(approvalId) });
      return;
    }
    await reportOutcome(report);
    state.setCallbackDelivery({ status: 'delivered' });
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    state.setCallbackDelivery({ status: 'failed', reason: reasonOf(error) });
  }
}

/** Starts the report as a standalone activity. @returns false when the workflow must report the outcome. */
async function startsStandalone(report: OutcomeReport): Promise<boolean> {
  return patched('standalone-outcome-report') && (await startOutcomeReport(report)) === 'started';
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
