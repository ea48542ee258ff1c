import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import { CART_TASK_QUEUE } from '../workflows/cart/contract.js';
import { ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE } from '../workflows/order/contract.js';

/** All task queues: one per domain, and one for a rate-limited external system. Each queue scales independently. */
export const TASK_QUEUES = [
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
  CART_TASK_QUEUE,
  APPROVAL_TASK_QUEUE,
  BATCH_TASK_QUEUE,
] as const;

export type TaskQueue = (typeof TASK_QUEUES)[number];

/** Whether the task queue has workflows in addition to activities. */
export function hasWorkflows(taskQueue: TaskQueue): boolean {
  return taskQueue !== PAYMENT_TASK_QUEUE;
}

/**
 * Returns the versioning behavior of the open workflows of a task queue. Orders, carts and approvals can be open for
 * weeks or years. They use the current version, so a fix reaches stuck workflows, but changes need patches. A batch
 * usually takes hours and stays on its first version, so changes need no patch.
 *
 * The behavior is set on the worker instead of the workflows, because the server rejects the versioning behavior of a
 * workflow from an unversioned worker.
 */
export function versioningBehaviorOf(taskQueue: TaskQueue): 'AUTO_UPGRADE' | 'PINNED' {
  return taskQueue === BATCH_TASK_QUEUE ? 'PINNED' : 'AUTO_UPGRADE';
}
