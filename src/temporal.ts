import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Interceptor } from '@grpc/grpc-js';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, type Logger, type WorkflowBundleOption } from '@temporalio/worker';
import type { Config } from './config.js';
import { clientDataConverter } from './encryption/data-converters.js';
import type { EncryptionKey } from './encryption/keys.js';
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

/** A page of a list holds the memos of up to 100 executions, and a page of a history up to 1,000 events. */
const MAX_RECEIVED_BYTES = 128 * 1024 * 1024;

interface ClientConfig extends TemporalConfig {
  PAYLOAD_ENCRYPTION_KEYS?: readonly EncryptionKey[] | undefined;
}

interface ClientOptions {
  /** Sees every request as it goes out, also those that are sent again. */
  eachTry?: Interceptor[] | undefined;
  interceptors?: WorkflowClientInterceptor[] | undefined;
}

/** A client whose connection is made with the first call, so that the API starts, and says 503, while Temporal is away. */
export function createClient(config: ClientConfig, { eachTry = [], interceptors = [] }: ClientOptions = {}): Client {
  const { TEMPORAL_NAMESPACE: namespace, PAYLOAD_ENCRYPTION_KEYS: keys = [] } = config;
  const connection = Connection.lazy({
    ...connectionOf(config),
    connectTimeout: CONNECT_TIMEOUT_MS,
    channelArgs: { 'grpc.max_receive_message_length': MAX_RECEIVED_BYTES },
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions()), ...eachTry],
  });
  const dataConverter = clientDataConverter({ keys, namespace });
  return new Client({ connection, namespace, dataConverter, interceptors: { workflow: interceptors } });
}

/** A connection without a client. @throws when the server does not answer in time. */
export async function connect(config: TemporalConfig): Promise<Connection> {
  return await Connection.connect({ ...connectionOf(config), connectTimeout: CONNECT_TIMEOUT_MS });
}

/** The connection of a worker. @throws when the server does not answer. */
export async function connectWorker(config: TemporalConfig): Promise<NativeConnection> {
  return await NativeConnection.connect(connectionOf(config));
}

function connectionOf({ TEMPORAL_ADDRESS: address, TEMPORAL_CREDENTIALS: credentials = {} }: TemporalConfig) {
  return { address, ...credentials };
}

/** What a bundle holds besides the workflows. Each cached workflow has a copy of it, so nothing is in there for later. */
export interface BundleFlavour {
  /** Spans of workflows. */
  traced?: boolean;
  /** Failures hide what they say in a payload, for the codec to encrypt. */
  encrypted?: boolean;
}

/** All of them. */
export const FLAVOURS: readonly BundleFlavour[] = [
  {},
  { traced: true },
  { encrypted: true },
  { traced: true, encrypted: true },
];

/** The bundle of a flavour, by the name of the plain one: `workflow-bundle.encrypted.js` beside `workflow-bundle.js`. */
export function bundleOfFlavour(plain: string, { traced = false, encrypted = false }: BundleFlavour): string {
  const flavour = [traced && 'traced', encrypted && 'encrypted'].filter(Boolean).join('-');
  return flavour ? plain.replace(/(\.js)?$/, `.${flavour}$1`) : plain;
}

/**
 * The workflow code as a bundle: the given one, the one that the build made, or the sources, bundled now. Of the first two
 * the file of the flavour is taken. Only in a bundle the payload converter gets into the workflow sandbox without being
 * loaded by the worker as well.
 */
export async function workflowBundle(
  given: string | undefined,
  logger: Logger,
  flavour: BundleFlavour = {},
): Promise<WorkflowBundleOption> {
  if (given !== undefined) return { codePath: bundleOfFlavour(given, flavour) };
  const codePath = bundleOfFlavour(fileURLToPath(new URL('./workflow-bundle.js', import.meta.url)), flavour);
  return existsSync(codePath) ? { codePath } : await bundleWorkflows(logger, flavour);
}

/** Bundles the workflows that lie beside this module. */
export async function bundleWorkflows(
  logger: Logger,
  { traced = false, encrypted = false }: BundleFlavour = {},
): Promise<{ code: string }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const beside = (module: string) => fileURLToPath(new URL(`./${module}.${extension}`, import.meta.url));
  return await bundleWorkflowCode({
    workflowsPath: beside('workflows/index'),
    payloadConverterPath: beside('payloads/workflow-converter'),
    workflowInterceptorModules: [
      beside('workflows/shared/life'),
      ...(traced ? [beside('tracing/workflow-interceptors')] : []),
    ],
    failureConverterPath: beside(encrypted ? 'encryption/failure-converter' : 'payloads/failure-converter'),
    logger,
  });
}
