import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, type WorkerOptions } from '@temporalio/worker';
import type { Config } from './config.js';
import type { SearchAttribute } from './namespace.js';
import { customerIdAttribute, orderStatusAttribute } from './workflows/order/contract.js';

type TemporalConfig = Pick<Config<'setup'>, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'>;

/** Everything that the workflows are found by. Registered in the namespace by `setup`, before the first start. */
export const SEARCH_ATTRIBUTES: readonly SearchAttribute[] = [orderStatusAttribute, customerIdAttribute];

/** A client whose connection is made with the first call, so that the API starts, and says 503, while Temporal is away. */
export function createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace }: TemporalConfig): Client {
  return new Client({ connection: Connection.lazy({ address }), namespace });
}

/** The connection of a worker. @throws when the server does not answer. */
export async function connectWorker({ TEMPORAL_ADDRESS: address }: TemporalConfig): Promise<NativeConnection> {
  return await NativeConnection.connect({ address });
}

/** The workflow code: the bundle that the build made, or the sources, bundled when the worker starts. */
export function workflowSource(): Pick<WorkerOptions, 'workflowBundle'> | Pick<WorkerOptions, 'workflowsPath'> {
  const codePath = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));
  if (existsSync(codePath)) return { workflowBundle: { codePath } };
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return { workflowsPath: fileURLToPath(new URL(`./workflows/index.${extension}`, import.meta.url)) };
}
