import { MAX_CONCURRENT_UPDATES } from '../../src/api/carts/commands.js';
import { MAX_BODY_BYTES } from '../../src/api/limits.js';
import { MAX_APPROVERS, MAX_REMINDERS, MAX_STAGES } from '../../src/schemas/approval.js';
import type { CartSnapshot } from '../../src/schemas/cart.js';
import { MAX_PAGE_SIZE } from '../../src/schemas/shared/page.js';
import { MAX_CALLER_ID_LENGTH } from '../../src/schemas/shared/primitives.js';
import { TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/search-attributes.js';
import { approvalWorkflowId } from '../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../src/workflows/batch/contract.js';
import { pollDelayMs } from '../../src/workflows/batch/progress.js';
import {
  CONCURRENT_CHILDREN,
  CONCURRENT_CHUNKS,
  MAX_CHILDREN,
  MAX_CHUNKS,
} from '../../src/workflows/batch/shard-tree.js';
import { LIMITS as CART } from '../../src/workflows/cart/changes.js';
import { cartWorkflowId } from '../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { MAX_REASON_MESSAGE_LENGTH, MAX_REASON_TYPE_LENGTH } from '../../src/workflows/shared/failures.js';
import { CARRIER_POLL_INTERVAL_SECONDS } from '../../src/workflows/order/delivery-monitor.js';
import { MAX_STUCK_RETRIES } from '../../src/workflows/order/timeline.js';

/** A limit of Temporal, and the largest value that this project can reach. */
export interface TemporalLimit {
  /** The value that Temporal limits. */
  name: string;
  /** Where an operator finds or changes the limit, for example a key of the server's dynamic configuration. */
  setting: string;
  /** The default of server 1.32. Temporal Cloud may have another default. */
  temporalMaximum: number;
  /** The part of this project that comes closest to the limit. */
  reachedBy: string;
  projectMaximum: number;
}

const HISTORY_EVENTS = { name: 'events of a run', setting: 'limit.historyCount.error', temporalMaximum: 51_200 };
const PAYLOAD = { name: 'bytes of a payload', setting: 'limit.blobSize.error', temporalMaximum: 2 * 1024 * 1024 };
const PENDING_ACTIVITIES = {
  name: 'pending activities of a run',
  setting: 'limit.numPendingActivities.error',
  temporalMaximum: 2_000,
};
const ID_LENGTH = { name: 'characters of an id', setting: 'limit.maxIDLength', temporalMaximum: 1_000 };

/**
 * Maximum number of events per activity: scheduled, started, completed, and three events of the workflow task that
 * handles the result.
 */
export const EVENTS_PER_ACTIVITY = 6;
/**
 * Number of events per child workflow, from the start of the child until the parent has handled the result. A test on
 * the real server checks this number.
 */
export const EVENTS_PER_CHILD = 16;
/** Number of events per progress poll of a batch: a timer, an activity, and a workflow task for each. */
export const EVENTS_PER_PROGRESS_POLL = 11;
/** Number of events per timer: the timer and its workflow task. */
const EVENTS_PER_TIMER = 5;
/**
 * Number of events per retry of a stuck compensation: a timer, the compensation, two changes of search attributes, and
 * two activities that record the status.
 */
const EVENTS_PER_STUCK_RETRY = EVENTS_PER_TIMER + 3 * EVENTS_PER_ACTIVITY + 4;
/**
 * An order has three compensations, and each compensation can be stuck. The order compensates the shipment first, and
 * then the other two steps at the same time.
 */
const COMPENSATIONS = 3;
/** Number of events per carrier poll: a timer and the activity that polls the carrier. */
export const EVENTS_PER_CARRIER_POLL = EVENTS_PER_TIMER + EVENTS_PER_ACTIVITY;
/** The carrier may take at most a year until the pickup, and another year until the delivery. */
const YEAR_SECONDS = 365 * 24 * 60 * 60;
/**
 * Number of times that an order polls a silent carrier in a year. While the order is compensating, only the timer
 * fires.
 */
const CARRIER_POLLS_PER_YEAR = Math.ceil(YEAR_SECONDS / CARRIER_POLL_INTERVAL_SECONDS);
/** Assumes that no batch runs longer than a year. */
const LONGEST_BATCH_MS = 365 * 24 * 60 * 60_000;

/** The maximum lengths of ids. A test checks that the API's schemas contain the same maximum lengths. */
export const [MAX_ID_LENGTH, MAX_APPROVAL_ID_LENGTH, MAX_IDEMPOTENCY_KEY_LENGTH] = [64, 80, 255];
/** The maximum number of API replicas in the Kubernetes manifests. A test of the manifests checks this number. */
export const MAX_API_REPLICAS = 5;

/** Maximum size of an execution in a list: ids, times, a status, the approvers, and the memo of a batch. */
const LISTED_EXECUTION_BYTES = 2_000 + MAX_APPROVERS * (MAX_CALLER_ID_LENGTH + 3) + 6 * MAX_IDEMPOTENCY_KEY_LENGTH;

/** E-mail, webhook and Slack. */
const CHANNELS = 3;

/** Each approver receives at most the request and all reminders, on each channel. */
const MAX_NOTIFICATIONS_PER_STAGE = MAX_APPROVERS * CHANNELS * (MAX_REMINDERS + 1);

/** The limits of Temporal, each with the value of this project that comes closest. */
export const TEMPORAL_LIMITS: readonly TemporalLimit[] = [
  {
    ...HISTORY_EVENTS,
    reachedBy: 'an approval with the maximum number of stages, approvers and reminders, on three channels',
    projectMaximum: MAX_STAGES * MAX_NOTIFICATIONS_PER_STAGE * EVENTS_PER_ACTIVITY,
  },
  {
    ...HISTORY_EVENTS,
    reachedBy: 'a batch, or a child of a batch, with the maximum number of chunks',
    projectMaximum: MAX_CHUNKS * EVENTS_PER_ACTIVITY,
  },
  {
    ...HISTORY_EVENTS,
    reachedBy: 'a batch with the maximum number of children that runs for a year',
    projectMaximum: MAX_CHILDREN * EVENTS_PER_CHILD + countPolls(LONGEST_BATCH_MS) * EVENTS_PER_PROGRESS_POLL,
  },
  {
    ...HISTORY_EVENTS,
    reachedBy:
      'an order whose carrier is silent for two years, and whose three compensations are then stuck for a year each',
    projectMaximum:
      30 +
      COMPENSATIONS * MAX_STUCK_RETRIES * EVENTS_PER_STUCK_RETRY +
      2 * CARRIER_POLLS_PER_YEAR * EVENTS_PER_CARRIER_POLL +
      2 * CARRIER_POLLS_PER_YEAR * EVENTS_PER_TIMER,
  },
  {
    ...PAYLOAD,
    reachedBy: 'the body of a request, which becomes the input of a workflow',
    projectMaximum: MAX_BODY_BYTES,
  },
  {
    ...PAYLOAD,
    reachedBy: 'the state that a full cart passes to its next run',
    projectMaximum: jsonByteLength(largestCart()),
  },
  {
    name: 'bytes of a gRPC message',
    setting: 'fixed: 4 MB',
    temporalMaximum: 4 * 1024 * 1024,
    reachedBy: 'a page of a list, with the search attributes and the memo of each execution',
    projectMaximum: MAX_PAGE_SIZE * LISTED_EXECUTION_BYTES,
  },
  { ...PENDING_ACTIVITIES, reachedBy: 'the open chunks of a batch', projectMaximum: CONCURRENT_CHUNKS },
  {
    ...PENDING_ACTIVITIES,
    reachedBy: 'the notifications of a stage, if all notifications fail',
    projectMaximum: MAX_NOTIFICATIONS_PER_STAGE,
  },
  {
    name: 'pending children of a run',
    setting: 'limit.numPendingChildExecutions.error',
    temporalMaximum: 2_000,
    reachedBy: 'the open children of a batch',
    projectMaximum: CONCURRENT_CHILDREN,
  },
  {
    name: 'pending signals from a run to other workflows',
    setting: 'limit.numPendingSignals.error',
    temporalMaximum: 2_000,
    reachedBy: 'a batch that signals its children to pause',
    projectMaximum: CONCURRENT_CHILDREN,
  },
  {
    name: 'pending cancellation requests from a run to other workflows',
    setting: 'limit.numPendingCancelRequests.error',
    temporalMaximum: 2_000,
    reachedBy: 'a batch that is cancelled',
    projectMaximum: CONCURRENT_CHILDREN,
  },
  {
    name: 'updates in flight per run',
    setting: 'history.maxInFlightUpdates',
    temporalMaximum: 10,
    reachedBy: 'changes of one cart from five API processes (further changes wait)',
    projectMaximum: MAX_API_REPLICAS * MAX_CONCURRENT_UPDATES,
  },
  { ...ID_LENGTH, reachedBy: 'the id of an order', projectMaximum: orderWorkflowId('x'.repeat(MAX_ID_LENGTH)).length },
  { ...ID_LENGTH, reachedBy: 'the id of a cart', projectMaximum: cartWorkflowId('x'.repeat(MAX_ID_LENGTH)).length },
  {
    ...ID_LENGTH,
    reachedBy: 'the id of an approval',
    projectMaximum: approvalWorkflowId('x'.repeat(MAX_APPROVAL_ID_LENGTH)).length,
  },
  {
    ...ID_LENGTH,
    reachedBy: 'the id of a child of a child of a batch',
    projectMaximum: `${batchWorkflowId('x'.repeat(MAX_ID_LENGTH))}/${MAX_CHILDREN}/${MAX_CHILDREN}`.length,
  },
  {
    ...ID_LENGTH,
    reachedBy: 'the id of an update, which is an `Idempotency-Key`',
    projectMaximum: MAX_IDEMPOTENCY_KEY_LENGTH,
  },
  {
    name: 'search attributes of type Keyword',
    setting: 'columns of the SQL visibility schema',
    temporalMaximum: 10,
    reachedBy: 'all workflows',
    projectMaximum: countSearchAttributes('KEYWORD'),
  },
  {
    name: 'search attributes of type KeywordList',
    setting: 'columns of the SQL visibility schema',
    temporalMaximum: 3,
    reachedBy: 'all workflows',
    projectMaximum: countSearchAttributes('KEYWORD_LIST'),
  },
  {
    name: 'characters of a Keyword',
    setting: 'columns of the SQL visibility schema',
    temporalMaximum: 255,
    reachedBy: 'the id of a customer',
    projectMaximum: MAX_CALLER_ID_LENGTH,
  },
  {
    name: 'bytes of a search attribute',
    setting: 'frontend.searchAttributesSizeOfValueLimit',
    temporalMaximum: 2_048,
    reachedBy: 'the approvers of a stage',
    projectMaximum: jsonByteLength(Array.from({ length: MAX_APPROVERS }, () => 'x'.repeat(MAX_CALLER_ID_LENGTH))),
  },
  {
    name: 'executions in a page of a list',
    setting: 'frontend.visibilityMaxPageSize',
    temporalMaximum: 1_000,
    reachedBy: 'the parameter `limit` of a list',
    projectMaximum: MAX_PAGE_SIZE,
  },
  {
    name: 'task queues of a deployment version',
    setting: 'matching.maxTaskQueuesInDeploymentVersion',
    temporalMaximum: 100,
    reachedBy: 'the task queues in `WORKER_TASK_QUEUES`',
    projectMaximum: TASK_QUEUES.length,
  },
];

function jsonByteLength(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function countSearchAttributes(type: (typeof SEARCH_ATTRIBUTES)[number]['type']): number {
  return SEARCH_ATTRIBUTES.filter((attribute) => attribute.type === type).length;
}

function countPolls(durationMs: number): number {
  let polls = 0;
  for (let elapsed = 0; elapsed < durationMs; elapsed += pollDelayMs(elapsed)) polls += 1;
  return polls;
}

/**
 * Returns a cart with the maximum number of lines, recorded requests and changes. The request ids and the reasons have
 * the maximum length and consist of control characters, which take six bytes each in JSON.
 */
function largestCart(): CartSnapshot {
  const sku = 'X'.repeat(32);
  const at = new Date(0).toISOString();
  return {
    lines: Array.from({ length: CART.lines }, () => ({ sku, quantity: CART.quantity })),
    ledger: Array.from({ length: CART.ledger }, () => ({
      id: '\u0001'.repeat(CART.idempotencyKey),
      fingerprint: `addItem ${sku} ${CART.quantity} ${CART.seconds} ${CART.seconds}`,
    })),
    changes: Array.from({ length: CART.changes }, () => ({
      at,
      event: 'checkout_failed' as const,
      reason: { type: 'X'.repeat(MAX_REASON_TYPE_LENGTH), message: '\u0001'.repeat(MAX_REASON_MESSAGE_LENGTH) },
      caller: 'x'.repeat(MAX_CALLER_ID_LENGTH),
    })),
    lastChangeAt: at,
    remindedAt: at,
    reminderPassed: true,
    hasChanged: true,
    remindAfterSeconds: CART.seconds,
    expireAfterSeconds: CART.seconds,
  };
}
