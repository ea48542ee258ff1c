import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Worker,
  type NativeConnection,
  type WorkflowBundle,
} from '@temporalio/worker';
import { activities } from './activities.js';

export const TASK_QUEUE = 'parcels';
export const DEPLOYMENT_NAME = 'parcels';

/** Bundles the workflows of a file in this folder, for example `patch/1-original.ts`. */
export async function bundleExample(file: string): Promise<WorkflowBundle> {
  return await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(file, import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  });
}

interface ParcelWorkerOptions {
  connection: NativeConnection;
  namespace: string;
  workflowBundle: WorkflowBundle;
  /**
   * The build id of the worker's deployment version. A worker without a build id is unversioned and takes every task.
   */
  buildId?: string;
}

export async function createWorker({ buildId, ...options }: ParcelWorkerOptions): Promise<Worker> {
  return await Worker.create({
    ...options,
    taskQueue: TASK_QUEUE,
    activities,
    ...(buildId !== undefined && {
      workerDeploymentOptions: {
        useWorkerVersioning: true,
        version: { deploymentName: DEPLOYMENT_NAME, buildId },
        defaultVersioningBehavior: 'AUTO_UPGRADE',
      },
    }),
  });
}
