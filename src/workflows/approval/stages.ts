import { condition } from '@temporalio/workflow';
import { recordStage } from './activities.js';
import { StageNotifications } from './notifications.js';
import { showPassedStageInSlack } from './slack-messages.js';
import { nextReminder, reminderTimesOf, stageEndOf } from './stage-schedule.js';
import type { ApprovalState } from './state.js';

/** The timeout of a stage restarts if recording the stage took longer than this, for example during a store outage. */
const MAX_RECORDING_DELAY_MS = 60_000;

/**
 * Restarts the timeout of the current stage if a store outage delayed the stage. Repeats this until the stage is
 * recorded in time.
 */
export async function restartLateStage(state: ApprovalState): Promise<void> {
  while (!state.isClosed && Date.now() - state.stageStartedAt > MAX_RECORDING_DELAY_MS) {
    state.restartStageTimeout();
    await recordCurrentStage(state);
  }
}

/** Stores the current stage, which lists of approvals show. */
export async function recordCurrentStage(state: ApprovalState): Promise<void> {
  const { currentStage } = state;
  if (currentStage) await recordStage(state.view.approvalId, state.firstRunId, currentStage);
}

/** Sends the request and the reminders of the current stage until the approval is closed or the stage times out. */
export async function awaitDecision(state: ApprovalState): Promise<void> {
  if (state.isClosed) return;
  const stage = state.stage!;
  const endsAt = stageEndOf(stage, state.stageStartedAt);
  const reminderTimes = reminderTimesOf(stage, state.stageStartedAt);
  const notifications = new StageNotifications(state, endsAt);
  let remindersSent = 0;
  try {
    notifications.send(0);
    for (;;) {
      const now = Date.now();
      const reminder = nextReminder(reminderTimes, { sent: remindersSent, now, endsAt, random: Math.random() });
      const wakeAt = reminder?.at ?? endsAt;
      if (wakeAt > now) {
        const summary = reminder ? `Reminder ${reminder.number}` : `End of stage ${state.view.stage}`;
        await condition(() => state.isClosed, Math.max(wakeAt - now, 1), { summary });
      }
      if (state.isClosed || Date.now() >= endsAt) break;
      // If the timer fired late, for example after an outage, a newer reminder may be due. Compute the next reminder
      // again.
      if (!reminder || (wakeAt > now && !reminder.isMissed)) continue;
      notifications.send(reminder.number);
      remindersSent = reminder.number;
    }
  } finally {
    await notifications.stop();
  }
  showPassedStageInSlack(state);
}
