import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';
import { OUTCOME_REPORT_RETRY_DELAYS } from './contract.js';

const nonRetryableErrorTypes = NON_RETRYABLE_ERROR_TYPES;

/**
 * Options for activities that call only the store or Temporal, so only an outage can make them fail. They retry forever,
 * because every approval must be recorded and reported.
 */
const storeOptions = {
  startToCloseTimeout: '10 seconds',
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '30 seconds',
    nonRetryableErrorTypes,
  },
} as const;

export const { openApproval } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Check and record the request',
});
export const { recordStage } = proxyActivities<Activities>({ ...storeOptions, summary: 'Record the stage' });
export const { recordOutcome } = proxyActivities<Activities>({ ...storeOptions, summary: 'Record the outcome' });

export const { startOutcomeReport } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Start the report of the outcome',
});

/**
 * Retries for 24 hours, with at most one hour between attempts, because the receiver of the outcome may be down
 * overnight. The workflow stays open meanwhile.
 */
export const { reportOutcome } = proxyActivities<Activities>({
  summary: 'Report the outcome',
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry: { ...OUTCOME_REPORT_RETRY_DELAYS, nonRetryableErrorTypes },
});

/**
 * Ends after one minute, because the workflow stays open meanwhile, and an order waits until its approval is closed. A
 * message that is not updated keeps its buttons; a click then shows that the approval is closed.
 */
export const { updateSlackMessage } = proxyActivities<Activities>({
  summary: 'Update the message in Slack',
  startToCloseTimeout: '15 seconds',
  scheduleToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, nonRetryableErrorTypes },
});

const MESSAGE_ATTEMPT_TIMEOUT_MS = 30_000;

/**
 * Returns the activities that send a message to an approver. They retry with backoff until the stage ends.
 *
 * @param waitForRunningAttempt whether an attempt that runs at the end of the stage ends before the workflow continues.
 */
export const notificationActivities = ({
  summary,
  timeoutMs,
  waitForRunningAttempt,
}: {
  summary: string;
  timeoutMs: number;
  waitForRunningAttempt: boolean;
}) =>
  proxyActivities<Activities>({
    summary,
    startToCloseTimeout: MESSAGE_ATTEMPT_TIMEOUT_MS,
    scheduleToCloseTimeout: timeoutMs,
    ...(waitForRunningAttempt && {
      // The end of the stage cancels the activity. A timeout at the same time would end it without its result.
      scheduleToCloseTimeout: timeoutMs + MESSAGE_ATTEMPT_TIMEOUT_MS,
      heartbeatTimeout: '10 seconds',
      cancellationType: 'WAIT_CANCELLATION_COMPLETED' as const,
    }),
    retry: {
      initialInterval: '1 second',
      backoffCoefficient: 2,
      maximumInterval: '5 minutes',
      nonRetryableErrorTypes,
    },
  });
