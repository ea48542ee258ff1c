import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, CancellationScope, condition, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { AskedStage } from '../../activities/approvals.js';
import type { ApprovalInput, ApprovalView } from '../../schemas/approval.js';
import { reasonOf, rootFailure } from '../shared/failures.js';
import { openApproval, recordOutcome, recordStage, reportOutcome } from './activities.js';
import { approvalIdOf } from './contract.js';
import { registerHandlers } from './handlers.js';
import { StageMessages } from './messages.js';
import { ApprovalProgress } from './progress.js';
import { publishOn } from './publish.js';
import { endOf, nextReminder, remindersOf } from './stage.js';

/** If recording a stage took longer than this, as in a store outage, the stage's timeout restarts. */
const LATE_MS = 60_000;

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
  const progress = new ApprovalProgress({ approvalId: approvalIdOf(workflowId), firstRunId, input });
  const earlyMessages = registerHandlers(progress);

  await open(progress, input);
  await earlyMessages();

  const cancelled = await cancellationOf(() => ask(progress, input));
  if (cancelled) progress.withdraw();
  await CancellationScope.nonCancellable(() => conclude(progress, input));
  if (cancelled && progress.view.status === 'withdrawn') throw cancelled;
  return progress.view;
}

/**
 * Parses the input and records the request, even if the run is already cancelled, because accepted decisions take
 * precedence.
 */
async function open(progress: ApprovalProgress, input: ApprovalInput): Promise<void> {
  const { firstRunId, requestedAt } = progress;
  const opening = {
    workflowId: workflowInfo().workflowId,
    firstRunId,
    requestedAt: new Date(requestedAt).toISOString(),
    asked: askedStage(progress),
  };
  try {
    const { closed } = await CancellationScope.nonCancellable(() => openApproval(input, opening));
    publishOn(progress);
    if (closed) progress.adopt(closed);
    else progress.open(input);
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    progress.reject(reasonOf(error));
    await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    throw rootFailure(error);
  }
}

/** Asks stage by stage until the approval is closed. */
async function ask(progress: ApprovalProgress, { onTimeout }: ApprovalInput): Promise<void> {
  while (!progress.isClosed) {
    await untilOnTime(progress);
    progress.onChange();
    await askStage(progress);
    if (progress.isClosed) return;
    if (progress.escalate()) await recordCurrentStage(progress);
    else progress.timeOut(onTimeout);
  }
}

async function untilOnTime(progress: ApprovalProgress): Promise<void> {
  while (!progress.isClosed && Date.now() - progress.askedAt > LATE_MS) {
    progress.restartClock();
    await recordCurrentStage(progress);
  }
}

/** Asks and reminds the approvers of the current stage until the approval is closed or the stage times out. */
async function askStage(progress: ApprovalProgress): Promise<void> {
  if (progress.isClosed) return;
  const stage = progress.stage!;
  const endsAt = endOf(stage, progress.askedAt);
  const reminders = remindersOf(stage, progress.askedAt);
  const messages = new StageMessages(progress, endsAt);
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
async function conclude(progress: ApprovalProgress, { callbackUrl }: ApprovalInput): Promise<void> {
  await recordChanges(progress);
  if (callbackUrl !== undefined) await report(progress, callbackUrl);
  await condition(allHandlersFinished);
  while (progress.hasChanges) {
    await recordChanges(progress);
    await condition(allHandlersFinished);
  }
}

async function recordChanges(progress: ApprovalProgress): Promise<void> {
  while (progress.hasChanges) {
    progress.hasChanges = false;
    const recorded = await recordOutcome(progress.view, new Date().toISOString());
    if (!progress.hasChanges) progress.adopt(recorded);
  }
}

/** Reports the outcome. A failed report is visible in the view and does not change the outcome. */
async function report(progress: ApprovalProgress, callbackUrl: string): Promise<void> {
  const { approvalId, status, decision, withdrawal, delivery } = progress.view;
  if (delivery?.status === 'delivered') return;
  progress.setDelivery({ status: 'pending' });
  try {
    await reportOutcome({
      callbackUrl,
      firstRunId: progress.firstRunId,
      outcome: { approvalId, status, ...(decision && { decision }), ...(withdrawal && { withdrawal }) },
    });
    progress.setDelivery({ status: 'delivered' });
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    progress.setDelivery({ status: 'failed', reason: reasonOf(error) });
  }
}

async function recordCurrentStage(progress: ApprovalProgress): Promise<void> {
  const asked = askedStage(progress);
  if (asked) await recordStage(progress.view.approvalId, progress.firstRunId, asked);
}

function askedStage({ stage, view }: ApprovalProgress): AskedStage | undefined {
  const { approvers, deadline } = view;
  return stage && deadline !== undefined ? { stage: view.stage, approvers, deadline } : undefined;
}

/** @returns the cancellation, if one ended the work. */
async function cancellationOf(work: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure && isCancellation(error)) return error;
    throw error;
  }
}
