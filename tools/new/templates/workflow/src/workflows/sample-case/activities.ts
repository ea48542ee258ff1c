import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';

const retry = {
  initialInterval: '1 second',
  maximumInterval: '1 hour',
  nonRetryableErrorTypes: NON_RETRYABLE_ERROR_TYPES,
} as const;

export const { openSampleCase } = proxyActivities<Activities>({
  summary: 'Check the input',
  startToCloseTimeout: '5 seconds',
  retry,
});

export const { sendSampleCaseOutcome } = proxyActivities<Activities>({
  summary: 'Send the outcome',
  startToCloseTimeout: '30 seconds',
  heartbeatTimeout: '5 seconds',
  scheduleToCloseTimeout: '24 hours',
  retry,
});
