import type { VersioningBehavior } from '@temporalio/common';
import type { NativeConnection } from '@temporalio/worker';
import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import { CART_TASK_QUEUE } from '../workflows/cart/contract.js';
import type { TaskQueue } from './task-queues.js';

/** The first minor version of server 1 that offers the upgrade on continue-as-new. */
const MINOR_VERSION_WITH_UPGRADE = 31;

/** Whether a pinned workflow can learn of a new worker version, and continue as new on this version. */
export async function offersUpgradeOnContinueAsNew(connection: NativeConnection): Promise<boolean> {
  const { serverVersion } = await connection.workflowService.getSystemInfo({});
  const [major = 0, minor = 0] = serverVersion.split('.').map(Number);
  return major > 1 || (major === 1 && minor >= MINOR_VERSION_WITH_UPGRADE);
}

/**
 * Returns the versioning behavior of the open workflows of a task queue.
 *
 * - Orders, batches and the workflows of schedules stay on the version with which they started, so changes need no patch.
 * - A cart does the same for each run, and continues as new on the current version. If the server does not offer this
 *   upgrade, the cart uses the current version, because a cart can be open for longer than any version is kept.
 * - An approval can be open for months and does not continue as new, so it uses the current version. Changes need patches.
 *
 * The behavior is set on the worker instead of the workflows, because the server rejects the versioning behavior of a
 * workflow from an unversioned worker.
 */
export function versioningBehaviorOf(
  taskQueue: TaskQueue,
  { canUpgradeOnContinueAsNew }: { canUpgradeOnContinueAsNew: boolean },
): VersioningBehavior {
  if (taskQueue === APPROVAL_TASK_QUEUE) return 'AUTO_UPGRADE';
  return taskQueue === CART_TASK_QUEUE && !canUpgradeOnContinueAsNew ? 'AUTO_UPGRADE' : 'PINNED';
}
