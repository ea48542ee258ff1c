import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, CancellationScope, condition, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { CurrentStage } from '../../activities/approvals.js';
import type { ApprovalInput, ApprovalView } from '../../schemas/approval.js';
import { reasonOf, rootFailure } from '../shared/failures.js';
import { openApproval, recordOutcome, recordStage, reportOutcome } from './activities.js';
import { approvalIdOf } from './contract.js';
import { registerHandlers } from './handlers.js';
import { StageNotifications } from './notifications.js';
import { ApprovalState } from './state.js';
import { publishChanges } from './publish.js';
import { stageEndOf, nextReminder, reminderTimesOf } from './stage.js';

/** If recording a stage took longer than this, as in a store outage, the stage's timeout restarts. */
const MAX_RECORDING_DELAY_MS = 60_000;

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
  const { workflowId, firstExecutionRunId: firstRunId } = workflowInfo();
  const progress = new ApprovalState({ approvalId: approvalIdOf(workflowId), firstRunId, input });
  const earlyMessages = registerHandlers(progress);

  await open(progress, input);
  await earlyMessages();

  const cancelled = await catchCancellation(() => runStages(progress, input));
  if (cancelled) progress.withdraw();
  await CancellationScope.nonCancellable(() => conclude(progress, input));
  if (cancelled && progress.view.status === 'withdrawn') throw cancelled;
  return progress.view;
}

/**
 * Parses the input and records the request, even if the run is already cancelled, because accepted decisions take
 * precedence.
 */
async function open(progress: ApprovalState, input: ApprovalInput): Promise<void> {
  const { firstRunId, requestedAt } = progress;
  const opening = {
    workflowId: workflowInfo().workflowId,
    firstRunId,
    requestedAt: new Date(requestedAt).toISOString(),
    firstStage: currentStageOf(progress),
  };
  try {
    const { closed } = await CancellationScope.nonCancellable(() => openApproval(input, opening));
    publishChanges(progress);
    if (closed) progress.replaceView(closed);
    else progress.open(input);
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    progress.reject(reasonOf(error));
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw rootFailure(error);
  }
}

/** Asks stage by stage until the approval is closed. */
async function runStages(progress: ApprovalState, { onTimeout }: ApprovalInput): Promise<void> {
  while (!progress.isClosed) {
    await restartLateStage(progress);
    progress.onChange();
    await runStage(progress);
    if (progress.isClosed) return;
    if (progress.escalate()) await recordCurrentStage(progress);
    else progress.timeOut(onTimeout);
  }
}

async function restartLateStage(progress: ApprovalState): Promise<void> {
  while (!progress.isClosed && Date.now() - progress.stageStartedAt > MAX_RECORDING_DELAY_MS) {
    progress.restartStageTimeout();
    await recordCurrentStage(progress);
  }
}

/** Asks and reminds the approvers of the current stage until the approval is closed or the stage times out. */
async function runStage(progress: ApprovalState): Promise<void> {
  if (progress.isClosed) return;
  const stage = progress.stage!;
  const endsAt = stageEndOf(stage, progress.stageStartedAt);
  const reminders = reminderTimesOf(stage, progress.stageStartedAt);
  const messages = new StageNotifications(progress, endsAt);
  try {
    messages.send(0);
    for (let sent = 0; ;) {
      const now = Date.now();
      const next = nextReminder(reminders, { sent, now, endsAt, random: Math.random() });
      const wakeAt = next?.at ?? endsAt;
      if (wakeAt > now) {
        const summary = next ? `Reminder ${next.number}` : `End of stage ${progress.view.stage}`;
        await condition(() => progress.isClosed, Math.max(wakeAt - now, 1), { summary });
      }
      if (progress.isClosed || Date.now() >= endsAt) return;
      // A late timer, as after an outage, may have passed newer reminders. Compute the next one again.
      if (!next || (wakeAt > now && !next.isMissed)) continue;
      messages.send(next.number);
      sent = next.number;
    }
  } finally {
    await messages.stop();
  }
}

/** Records and reports the outcome, including changes that arrive meanwhile. */
async function conclude(progress: ApprovalState, { callbackUrl }: ApprovalInput): Promise<void> {
  await recordChanges(progress);
  if (callbackUrl !== undefined) await reportToCallback(progress, callbackUrl);
  await condition(allHandlersFinished);
  while (progress.hasChanges) {
    await recordChanges(progress);
    await condition(allHandlersFinished);
  }
}

async function recordChanges(progress: ApprovalState): Promise<void> {
  while (progress.hasChanges) {
    progress.hasChanges = false;
    const recorded = await recordOutcome(progress.view, new Date().toISOString());
    if (!progress.hasChanges) progress.replaceView(recorded);
  }
}

/** Reports the outcome. A failed report is visible in the view and does not change the outcome. */
async function reportToCallback(progress: ApprovalState, callbackUrl: string): Promise<void> {
  const { approvalId, status, decision, withdrawal, callbackDelivery } = progress.view;
  if (callbackDelivery?.status === 'delivered') return;
  progress.setCallbackDelivery({ status: 'pending' });
  try {
    await reportOutcome({
      callbackUrl,
      firstRunId: progress.firstRunId,
      outcome: { approvalId, status, ...(decision && { decision }), ...(withdrawal && { withdrawal }) },
    });
    progress.setCallbackDelivery({ status: 'delivered' });
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    progress.setCallbackDelivery({ status: 'failed', reason: reasonOf(error) });
  }
}

async function recordCurrentStage(progress: ApprovalState): Promise<void> {
  const stage = currentStageOf(progress);
  if (stage) await recordStage(progress.view.approvalId, progress.firstRunId, stage);
}

function currentStageOf({ stage, view }: ApprovalState): CurrentStage | undefined {
  const { approvers, deadline } = view;
  return stage && deadline !== undefined ? { stage: view.stage, approvers, deadline } : undefined;
}

/** @returns the cancellation, if one ended the work. */
async function catchCancellation(work: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure && isCancellation(error)) return error;
    throw error;
  }
}
