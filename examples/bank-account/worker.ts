import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Worker,
  type NativeConnection,
  type WorkflowBundle,
} from '@temporalio/worker';
import { ACCOUNT_TASK_QUEUE } from './contract.js';

let bundle: Promise<WorkflowBundle> | undefined;

/** Bundles the workflow code for the sandbox in which the worker runs it. Bundles once per process. */
export const bundleAccounts = (): Promise<WorkflowBundle> =>
  (bundle ??= bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  }));

export async function createAccountWorker(connection: NativeConnection, namespace = 'default'): Promise<Worker> {
  return await Worker.create({
    connection,
    namespace,
    taskQueue: ACCOUNT_TASK_QUEUE,
    workflowBundle: await bundleAccounts(),
  });
}
