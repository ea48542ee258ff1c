import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import type { Interceptor } from '@grpc/grpc-js';
import { bundleWorkflowCode, NativeConnection, type Logger, type WorkflowBundleOption } from '@temporalio/worker';
import type { Config } from './config.js';
import type { SearchAttribute } from './namespace.js';
import { approvalDueAtAttribute, approversAttribute, approvalStatusAttribute } from './workflows/approval/contract.js';
import { batchStatusAttribute } from './workflows/batch/contract.js';
import { customerIdAttribute, orderStatusAttribute } from './workflows/order/contract.js';

type TemporalConfig = Pick<Config<'setup'>, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'> &
  Partial<Pick<Config<'setup'>, 'TEMPORAL_CREDENTIALS'>>;

/** Everything that the workflows are found by. Registered in the namespace by `setup`, before the first start. */
export const SEARCH_ATTRIBUTES: readonly SearchAttribute[] = [
  orderStatusAttribute,
  customerIdAttribute,
  approvalStatusAttribute,
  approversAttribute,
  approvalDueAtAttribute,
  batchStatusAttribute,
];

const CONNECT_TIMEOUT_MS = 5_000;

/**
 * A client whose connection is made with the first call, so that the API starts, and says 503, while Temporal is away.
 * `eachTry` sees every request as it goes out, also those that are sent again.
 */
export function createClient(config: TemporalConfig, { eachTry = [] }: { eachTry?: Interceptor[] } = {}): Client {
  const interceptors = [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), ...eachTry];
  const connection = Connection.lazy({ ...connectionOf(config), connectTimeout: CONNECT_TIMEOUT_MS, interceptors });
  return new Client({ connection, namespace: config.TEMPORAL_NAMESPACE });
}

/** A connection without a client. @throws when the server does not answer. */
export async function connect(config: TemporalConfig): Promise<Connection> {
  return await Connection.connect(connectionOf(config));
}

/** The connection of a worker. @throws when the server does not answer. */
export async function connectWorker(config: TemporalConfig): Promise<NativeConnection> {
  return await NativeConnection.connect(connectionOf(config));
}

function connectionOf({ TEMPORAL_ADDRESS: address, TEMPORAL_CREDENTIALS: credentials = {} }: TemporalConfig) {
  return { address, ...credentials };
}

/**
 * The workflow code as a bundle: the given one, the one that the build made, or the sources, bundled now. Only in a
 * bundle the payload converter gets into the workflow sandbox without being loaded by the worker as well.
 */
export async function workflowBundle(given: string | undefined, logger: Logger): Promise<WorkflowBundleOption> {
  if (given !== undefined) return { codePath: given };
  const codePath = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));
  return existsSync(codePath) ? { codePath } : await bundleWorkflows(logger);
}

/** Bundles the workflows that lie beside this module. */
export async function bundleWorkflows(logger: Logger): Promise<{ code: string }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(`./workflows/index.${extension}`, import.meta.url)),
    payloadConverterPath: fileURLToPath(new URL(`./payload-converter.${extension}`, import.meta.url)),
    workflowInterceptorModules: [fileURLToPath(new URL(`./workflows/shared/life.${extension}`, import.meta.url))],
    logger,
  });
}
