import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE } from '../shared/failures.js';
import { PAYMENT_TASK_QUEUE } from './contract.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];
const cancellationType = 'WAIT_CANCELLATION_COMPLETED';

/** Short steps on our own database. Twelve attempts bridge a database restart of about a minute. */
const inStore = {
  startToCloseTimeout: '5 seconds',
  cancellationType,
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    maximumAttempts: 12,
    nonRetryableErrorTypes,
  },
} as const;

/** Records that must not be lost: retried until the database is available. */
const inStoreAlways = {
  ...inStore,
  retry: { ...inStore.retry, maximumInterval: '1 minute', maximumAttempts: Infinity },
} as const;

/**
 * Calls to external systems. A cancelled call must end before compensation starts, so that a refund never runs
 * concurrently with its charge.
 */
const external = { startToCloseTimeout: '15 seconds', heartbeatTimeout: '5 seconds', cancellationType } as const;

/**
 * Forward steps are retried for six hours. This bridges an outage or a wrong configuration, and is shorter than the
 * time for which partners keep idempotency keys.
 */
const forward = {
  ...external,
  scheduleToCloseTimeout: '6 hours',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '5 minutes',
    nonRetryableErrorTypes,
  },
} as const;

/**
 * Compensations and polls: ten attempts bridge an outage of four minutes. Then the workflow decides how to continue.
 */
const backward = {
  ...external,
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 10,
    nonRetryableErrorTypes,
  },
} as const;

export const { reserveStock } = proxyActivities<Activities>({ ...inStore, summary: 'Price and reserve the lines' });
export const { releaseStock } = proxyActivities<Activities>({ ...inStore, summary: 'Put the stock back' });
export const { recordOrderStatus } = proxyActivities<Activities>({ ...inStoreAlways, summary: 'Record the status' });
export const { recordContradiction } = proxyActivities<Activities>({
  ...inStoreAlways,
  summary: 'Record a contradicting report',
});
export const { closeOrder } = proxyActivities<Activities>({ ...inStoreAlways, summary: 'Record the outcome' });

export const { chargePayment } = proxyActivities<Activities>({
  ...forward,
  taskQueue: PAYMENT_TASK_QUEUE,
  summary: 'Charge the customer',
});
export const { refundPayment } = proxyActivities<Activities>({
  ...backward,
  taskQueue: PAYMENT_TASK_QUEUE,
  summary: 'Refund the customer',
});

export const { requestShipment } = proxyActivities<Activities>({ ...forward, summary: 'Request the shipment' });
export const { cancelShipment } = proxyActivities<Activities>({ ...backward, summary: 'Cancel the shipment' });
export const { trackShipment } = proxyActivities<Activities>({ ...backward, summary: 'Ask where the parcel is' });

/** Waits for an existing approval after a reset. Each stage of an approval lasts at most a year. */
export const { joinApproval } = proxyActivities<Activities>({
  startToCloseTimeout: '730 days',
  heartbeatTimeout: '30 seconds',
  cancellationType,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', nonRetryableErrorTypes },
  summary: 'Wait for the approval that exists already',
});
