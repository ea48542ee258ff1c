import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, log } from '@temporalio/workflow';
import type { RequestState } from '../../activities/notifiers/slack-blocks.js';
import type { Notification } from '../../schemas/approval.js';
import { reasonOf } from '../shared/failures.js';
import { updateSlackMessage } from './activities.js';
import type { ApprovalState } from './state.js';

// Only approvals with Slack approvers send these commands. `openApproval` returns Slack approvers only to workflow code
// that supports Slack, so histories of earlier versions have none, and no patch is needed.

/**
 * Removes the buttons from the messages of the current stage, unless the stage is decided or the last one: then
 * `showOutcomeInSlack` follows. Does not wait, because the next stage starts meanwhile.
 */
export function showPassedStageInSlack(state: ApprovalState): void {
  const { isClosed, view } = state;
  const { ifUndecided } = view;
  if (isClosed || !ifUndecided || !('nextApprovers' in ifUndecided)) return;
  const messages = slackMessagesOf(state).filter(({ stage }) => stage === view.stage);
  const { nextApprovers } = ifUndecided;
  state.slackUpdates.push(...messages.map((message) => update(state, message, { nextApprovers })));
}

/** Shows the outcome in the messages of all stages. A failure is logged and does not change the outcome. */
export async function showOutcomeInSlack(state: ApprovalState): Promise<void> {
  // An earlier update must not overwrite the outcome.
  await Promise.all(state.slackUpdates);
  await Promise.all(slackMessagesOf(state).map((message) => update(state, message)));
}

/** The messages with buttons: at most one per stage and approver. */
function slackMessagesOf({ slackApprovers, view }: ApprovalState): Notification[] {
  if (slackApprovers.length === 0) return [];
  return view.notifications.filter(({ channel }) => channel === 'slack');
}

async function update(
  { firstRunId, view }: ApprovalState,
  { stage, approver }: Notification,
  more: Pick<RequestState, 'nextApprovers'> = {},
): Promise<void> {
  const { approvalId, title, requestedBy, amount, status, decision, withdrawal } = view;
  const state: RequestState = {
    approvalId,
    firstRunId,
    stage,
    approver,
    title,
    requestedBy,
    ...(amount && { amount }),
    status,
    ...(decision && { decision }),
    ...(withdrawal && { withdrawal }),
    ...more,
  };
  try {
    await CancellationScope.nonCancellable(() => updateSlackMessage(state));
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    log.warn('a message in Slack does not show the state of the approval', { approver, ...reasonOf(error) });
  }
}
