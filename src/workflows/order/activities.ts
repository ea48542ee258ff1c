import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';
import { PAYMENT_TASK_QUEUE } from './contract.js';

const nonRetryableErrorTypes = NON_RETRYABLE_ERROR_TYPES;
const cancellationType = 'WAIT_CANCELLATION_COMPLETED';

/** Options for short activities on our own database. Twelve attempts survive a database restart of about a minute. */
const storeOptions = {
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

/** Options for records that must not be lost. The activities are retried until the database is available. */
const unlimitedStoreOptions = {
  ...storeOptions,
  retry: { ...storeOptions.retry, maximumInterval: '1 minute', maximumAttempts: Infinity },
} as const;

/**
 * Options for calls to external systems. A cancelled call must end before compensation starts, so that a refund never
 * runs at the same time as its charge.
 */
const externalOptions = { startToCloseTimeout: '15 seconds', heartbeatTimeout: '5 seconds', cancellationType } as const;

/**
 * Options for forward steps. They are retried for six hours, which is long enough for an outage or a wrong
 * configuration. Partners keep idempotency keys for a longer time.
 */
const forwardOptions = {
  ...externalOptions,
  scheduleToCloseTimeout: '6 hours',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '5 minutes',
    nonRetryableErrorTypes,
  },
} as const;

/**
 * Options for compensations and polls. Ten attempts survive an outage of four minutes. After that, the workflow decides
 * how to continue.
 */
const compensationOptions = {
  ...externalOptions,
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 10,
    nonRetryableErrorTypes,
  },
} as const;

export const { reserveStock } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Price the lines and reserve the stock',
});
export const { releaseStock } = proxyActivities<Activities>({ ...storeOptions, summary: 'Release the stock' });
export const { recordOrderStatus } = proxyActivities<Activities>({
  ...unlimitedStoreOptions,
  summary: 'Record the status',
});
export const { recordContradictingReport } = proxyActivities<Activities>({
  ...unlimitedStoreOptions,
  summary: 'Record a contradicting report',
});
export const { closeOrder } = proxyActivities<Activities>({ ...unlimitedStoreOptions, summary: 'Record the outcome' });

export const { chargePayment } = proxyActivities<Activities>({
  ...forwardOptions,
  taskQueue: PAYMENT_TASK_QUEUE,
  summary: 'Charge the customer',
});
export const { refundPayment } = proxyActivities<Activities>({
  ...compensationOptions,
  taskQueue: PAYMENT_TASK_QUEUE,
  summary: 'Refund the customer',
});

export const { requestShipment } = proxyActivities<Activities>({ ...forwardOptions, summary: 'Request the shipment' });
export const { cancelShipment } = proxyActivities<Activities>({
  ...compensationOptions,
  summary: 'Cancel the shipment',
});
export const { trackShipment } = proxyActivities<Activities>({
  ...compensationOptions,
  summary: 'Poll the carrier',
});

/**
 * Waits for an existing approval after a reset. The timeout is long, because each stage of an approval can last for a
 * year.
 */
export const { awaitExistingApproval } = proxyActivities<Activities>({
  startToCloseTimeout: '730 days',
  heartbeatTimeout: '30 seconds',
  cancellationType,
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', nonRetryableErrorTypes },
  summary: 'Wait for the existing approval',
});
