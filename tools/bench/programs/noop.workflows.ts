import {
  condition,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  customerIdAttribute,
  orderStatusAttribute,
  PAYMENT_TASK_QUEUE,
} from '../../../src/workflows/order/contract.js';
import { PARCEL_MOVED } from './noop-signals.js';
import type { NoopActivities } from './noop-worker.js';

const options = { startToCloseTimeout: '15 seconds' } as const;
const regular = proxyActivities<NoopActivities>(options);
const payments = proxyActivities<NoopActivities>({ ...options, taskQueue: PAYMENT_TASK_QUEUE });
const local = proxyLocalActivities<NoopActivities>(options);

/** The smallest workflow with three steps. */
export async function threeActivities(): Promise<void> {
  await regular.doNothing();
  await regular.doNothing();
  await regular.doNothing();
}

export async function threeLocalActivities(): Promise<void> {
  await local.doNothing();
  await local.doNothing();
  await local.doNothing();
}

/**
 * The events of a completed order in the same sequence, without its work: four activities, one of them on the queue of
 * payments, two upserts of search attributes, a timer, and two signals that the partner of the third activity sends.
 */
export async function orderSkeleton(): Promise<void> {
  let moves = 0;
  setHandler(defineSignal(PARCEL_MOVED), () => void (moves += 1));
  await regular.doNothing();
  upsertSearchAttributes([
    { key: customerIdAttribute, value: 'bench' },
    { key: orderStatusAttribute, value: 'processing' },
  ]);
  await payments.doNothing();
  void sleep('1 day');
  await regular.requestMoves(workflowInfo().workflowId);
  await condition(() => moves > 0);
  await condition(() => moves > 1);
  upsertSearchAttributes([{ key: orderStatusAttribute, value: 'completed' }]);
  await regular.doNothing();
}
