import { APPROVAL_TASK_QUEUE } from './workflows/approval/contract.js';
import { BATCH_TASK_QUEUE } from './workflows/batch/contract.js';
import { CART_TASK_QUEUE } from './workflows/cart/contract.js';
import { ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE } from './workflows/order/contract.js';

/** Every task queue: one for each domain, and one for a system that must not be called too fast. Each scales apart. */
export const TASK_QUEUES = [
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
  CART_TASK_QUEUE,
  APPROVAL_TASK_QUEUE,
  BATCH_TASK_QUEUE,
] as const;

export type TaskQueue = (typeof TASK_QUEUES)[number];

/** Whether workflows run there, not only activities. */
export function hasWorkflows(taskQueue: TaskQueue): boolean {
  return taskQueue !== PAYMENT_TASK_QUEUE;
}
