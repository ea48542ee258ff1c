import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';
import { PAYMENT_TASK_QUEUE } from '../order/contract.js';

/** A failed step is repeated by the next run of the schedule, so a few attempts are enough. */
const retry = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '10 seconds',
  maximumAttempts: 5,
  nonRetryableErrorTypes: NON_RETRYABLE_ERROR_TYPES,
} as const;

/** Also limits the wait for a worker, so that a missing worker does not stop the run. */
const scheduleToCloseTimeout = '1 minute';

const storeOptions = { startToCloseTimeout: '5 seconds', scheduleToCloseTimeout, retry } as const;
const externalOptions = {
  startToCloseTimeout: '15 seconds',
  heartbeatTimeout: '5 seconds',
  scheduleToCloseTimeout,
  retry,
} as const;

/** Orders share the task queue of payments, and a customer may wait for the charge. */
const AFTER_ORDERS = { priorityKey: 5 } as const;

/** For activities that compare many orders in one call. */
const comparisonOptions = {
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '10 minutes',
  heartbeatTimeout: '5 seconds',
  retry,
} as const;

export const { findEndedOrders } = proxyActivities<Activities>({
  ...comparisonOptions,
  summary: 'Find orders whose workflow has ended',
});
export const { hasOrderEnded } = proxyActivities<Activities>({ ...storeOptions, summary: 'Check the workflow again' });
export const { cancelShipment } = proxyActivities<Activities>({ ...externalOptions, summary: 'Cancel the shipment' });
export const { refundPayment } = proxyActivities<Activities>({
  ...externalOptions,
  taskQueue: PAYMENT_TASK_QUEUE,
  priority: AFTER_ORDERS,
  summary: 'Refund the customer',
});
export const { withdrawOrderApproval } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Withdraw the approval',
});
export const { recordRollback } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Release the stock and close the order',
});
export const { findOrderToClose } = proxyActivities<Activities>({ ...storeOptions, summary: 'Find the order' });
export const { trackShipment } = proxyActivities<Activities>({ ...externalOptions, summary: 'Poll the carrier' });
export const { recordClosing } = proxyActivities<Activities>({ ...storeOptions, summary: 'Close the order' });
export const { recordUnreconciledOrders } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Record the orders for a person',
});

export const { compareCharges } = proxyActivities<Activities>({
  ...comparisonOptions,
  taskQueue: PAYMENT_TASK_QUEUE,
  priority: AFTER_ORDERS,
  summary: 'Compare charges with orders',
});
export const { compareWorkflows } = proxyActivities<Activities>({
  ...comparisonOptions,
  summary: 'Compare open workflows with orders',
});
export const { recordAuditFindings } = proxyActivities<Activities>({
  ...storeOptions,
  summary: 'Record the orders for a person',
});

/** For activities that read or delete the records of many days. */
const longOptions = { startToCloseTimeout: '15 minutes', heartbeatTimeout: '5 seconds', retry } as const;

export const { purgeIdempotencyKeys } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Delete expired idempotency keys',
});
export const { purgeNotifications } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Delete old notifications',
});
export const { purgeBatchItems } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Delete the items of old batches',
});

export const { purgeUploads } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Delete uploads that were cut off',
});
export const { purgeOrders } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Erase the personal data of old orders',
});

export const { findPersonalData } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Find the data and the open work of the person',
});
export const { deletePersonalWorkflows } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Delete the closed workflows of the person',
});
export const { erasePersonalRecords } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Erase the records of the person',
});

export const { writeDailyReports } = proxyActivities<Activities>({
  ...longOptions,
  summary: 'Write the figures of the last days',
});
