import type { Interceptor } from '@grpc/grpc-js';
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  makeGrpcRetryInterceptor,
  type WorkflowClientInterceptor,
} from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { Config } from '../config/read.js';
import type { ShopClients } from './client/approval-clients.js';
import { rejectOnClosedConnection } from './client/closed-connection.js';
import { createClientDataConverter } from './encryption/data-converters.js';
import type { EncryptionKey } from './encryption/keys.js';

type ServerConfig = Pick<Config<'setup'>, 'TEMPORAL_ADDRESS'> & Partial<Pick<Config<'setup'>, 'TEMPORAL_CREDENTIALS'>>;

const CONNECT_TIMEOUT_MS = 5_000;

/** Large enough for a list page with the memos of 100 executions and for a history page with 1,000 events. */
const MAX_GRPC_MESSAGE_BYTES = 128 * 1024 * 1024;

/** The interceptors of each connection: they retry requests until the connection is closed. */
export const requestInterceptors: Interceptor[] = [
  makeGrpcRetryInterceptor(defaultGrpcRetryOptions()),
  rejectOnClosedConnection,
];

interface ClientConnectionConfig extends ServerConfig {
  TEMPORAL_NAMESPACE: string;
  APPROVAL_NAMESPACE?: string | undefined;
  PAYLOAD_ENCRYPTION_KEYS?: readonly EncryptionKey[] | undefined;
}

interface ClientOptions {
  /** gRPC interceptors that run for every request, including each retry. */
  grpcInterceptors?: Interceptor[] | undefined;
  workflowInterceptors?: WorkflowClientInterceptor[] | undefined;
}

/**
 * Creates a client that connects at the first call, so that the API can start and return 503 during a Temporal outage.
 */
export function createClient(
  config: ClientConnectionConfig,
  { grpcInterceptors = [], workflowInterceptors = [] }: ClientOptions = {},
): Client {
  const { TEMPORAL_NAMESPACE: namespace, APPROVAL_NAMESPACE, PAYLOAD_ENCRYPTION_KEYS: keys = [] } = config;
  const connection = Connection.lazy({
    ...connectionOptions(config),
    connectTimeout: CONNECT_TIMEOUT_MS,
    channelArgs: { 'grpc.max_receive_message_length': MAX_GRPC_MESSAGE_BYTES },
    interceptors: [...requestInterceptors, ...grpcInterceptors],
  });
  const peerNamespaces = APPROVAL_NAMESPACE === undefined ? [] : [APPROVAL_NAMESPACE];
  const dataConverter = createClientDataConverter({ keys, namespace, peerNamespaces });
  return new Client({ connection, namespace, dataConverter, interceptors: { workflow: workflowInterceptors } });
}

/** Creates the clients of the namespaces of the shop. They share a connection. */
export function createClients(config: ClientConnectionConfig, options: ClientOptions = {}): ShopClients {
  const client = createClient(config, options);
  const { TEMPORAL_NAMESPACE, APPROVAL_NAMESPACE: namespace, PAYLOAD_ENCRYPTION_KEYS: keys = [] } = config;
  if (namespace === undefined) return { client };
  const dataConverter = createClientDataConverter({ keys, namespace, peerNamespaces: [TEMPORAL_NAMESPACE] });
  const interceptors = { workflow: options.workflowInterceptors ?? [] };
  return {
    client,
    approvalClient: new Client({ connection: client.connection, namespace, dataConverter, interceptors }),
  };
}

/** Opens a connection without a client. @throws when the server does not respond in time. */
export async function openConnection(config: ServerConfig): Promise<Connection> {
  return await Connection.connect({
    ...connectionOptions(config),
    connectTimeout: CONNECT_TIMEOUT_MS,
    interceptors: requestInterceptors,
  });
}

/** Opens the connection of a worker. @throws when the server does not respond. */
export async function openWorkerConnection(config: ServerConfig): Promise<NativeConnection> {
  return await NativeConnection.connect(connectionOptions(config));
}

function connectionOptions({ TEMPORAL_ADDRESS: address, TEMPORAL_CREDENTIALS: credentials = {} }: ServerConfig) {
  return { address, ...credentials };
}
