import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import { CART_TASK_QUEUE } from '../workflows/cart/contract.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../workflows/housekeeping/contract.js';
import { ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE } from '../workflows/order/contract.js';

/**
 * All task queues: one per domain, one for a rate-limited external system, and one for the workflows of schedules. Each
 * queue scales independently.
 */
export const TASK_QUEUES = [
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
  CART_TASK_QUEUE,
  APPROVAL_TASK_QUEUE,
  BATCH_TASK_QUEUE,
  HOUSEKEEPING_TASK_QUEUE,
] as const;

export type TaskQueue = (typeof TASK_QUEUES)[number];

/** Whether the task queue has workflows in addition to activities. */
export function hasWorkflows(taskQueue: TaskQueue): boolean {
  return taskQueue !== PAYMENT_TASK_QUEUE;
}
