import type { Interceptor } from '@grpc/grpc-js';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { Config } from '../config.js';
import { clientDataConverter } from './encryption/data-converters.js';
import type { EncryptionKey } from './encryption/keys.js';

type TemporalConfig = Pick<Config<'setup'>, 'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE'> &
  Partial<Pick<Config<'setup'>, 'TEMPORAL_CREDENTIALS'>>;

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
