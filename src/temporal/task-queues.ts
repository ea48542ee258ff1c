import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import { CART_TASK_QUEUE } from '../workflows/cart/contract.js';
import { ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE } from '../workflows/order/contract.js';

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

/**
 * With versions of workers, the version that an open workflow of a queue goes on with. An order, a cart and an approval may
 * be open for weeks, months or years: the current one, so that a fix reaches those that are stuck; changes to them are
 * patches. A batch takes hours as a rule: the one that it was begun with, so that a change to it needs no patch.
 *
 * Not said by the workflows themselves: the server refuses that word from a worker without a version.
 */
export function versioningOf(taskQueue: TaskQueue): 'AUTO_UPGRADE' | 'PINNED' {
  return taskQueue === BATCH_TASK_QUEUE ? 'PINNED' : 'AUTO_UPGRADE';
}
