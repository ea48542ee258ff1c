import { connect as connectTcp } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { Connection } from '@temporalio/client';
import type { TemporalCredentials } from '../../temporal/connection-profile.js';
import { openConnection } from '../../temporal/connections.js';
import { grpcErrorIn } from '../../temporal/grpc-errors.js';
import { RESPONSE_TIMEOUT_MS, NO_RESPONSE, describeConnectionError, type ServerProblem } from './server-problem.js';

const DAY_SECONDS = 24 * 60 * 60;

interface TemporalTarget {
  TEMPORAL_ADDRESS: string;
  TEMPORAL_NAMESPACE: string;
  APPROVAL_NAMESPACE?: string | undefined;
  TEMPORAL_CREDENTIALS: TemporalCredentials;
}

interface NamespaceExpectations {
  /** Whether the namespaces must exist. */
  expectNamespace: boolean;
  /** The retention of orders in days. Must not be shorter than that of a namespace. */
  orderRetentionDays?: number | undefined;
}

/** Connects to Temporal in the same way as the application, and checks the namespaces. */
export async function checkTemporal(
  target: TemporalTarget,
  { expectNamespace, orderRetentionDays }: NamespaceExpectations,
): Promise<ServerProblem | undefined> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_CREDENTIALS: credentials } = target;
  const unreachable = (reason: string): ServerProblem => ({
    kind: 'unreachable',
    name: 'TEMPORAL_ADDRESS',
    problem: `Temporal on ${address} cannot be reached: ${reason}`,
    example: '127.0.0.1:7233',
  });
  const tcpError = await testTcpConnection(address);
  if (tcpError) return unreachable(describeConnectionError(tcpError));
  let connection: Connection | undefined;
  try {
    connection = await openConnection(target);
    if (!expectNamespace) return undefined;
    for (const name of ['TEMPORAL_NAMESPACE', 'APPROVAL_NAMESPACE'] as const) {
      const { [name]: namespace } = target;
      if (namespace === undefined) continue;
      const retentionDays = await readRetentionDays(connection, namespace);
      if (retentionDays === undefined) {
        const problem = `Temporal on ${address} does not have this namespace; run the setup first`;
        return { kind: 'rejected', name, problem, got: namespace, example: EXAMPLE_NAMESPACES[name] };
      }
      const problem = checkOrderRetention(retentionDays, orderRetentionDays);
      if (problem) return problem;
    }
    return undefined;
  } catch (error) {
    const grpc = grpcErrorIn(error);
    if (grpc?.code === status.PERMISSION_DENIED || grpc?.code === status.UNAUTHENTICATED)
      return {
        kind: 'rejected',
        name: 'TEMPORAL_API_KEY',
        problem: `Temporal on ${address} denies access${credentials.apiKey === undefined ? ' without an API key' : ''}: ${grpc.details}`,
        example: '<an API key for this namespace>',
      };
    return unreachable(`${NO_RESPONSE} from a Temporal server; check TEMPORAL_TLS and its certificates`);
  } finally {
    await connection?.close();
  }
}

/** A reset of an erased order would restore its data, so Temporal must have deleted the workflow before. */
function checkOrderRetention(namespaceDays: number, orderDays = Infinity): ServerProblem | undefined {
  if (orderDays >= namespaceDays) return undefined;
  return {
    kind: 'rejected',
    name: 'ORDER_RETENTION_DAYS',
    problem: `must be at least the retention of the namespace, which is ${namespaceDays} days`,
    got: String(orderDays),
    example: String(Math.ceil(namespaceDays)),
  };
}

const EXAMPLE_NAMESPACES = { TEMPORAL_NAMESPACE: 'default', APPROVAL_NAMESPACE: 'approvals' };

/** @returns undefined when the namespace does not exist. */
async function readRetentionDays(connection: Connection, namespace: string): Promise<number | undefined> {
  const { workflowService } = connection;
  try {
    const { config } = await connection.withDeadline(Date.now() + RESPONSE_TIMEOUT_MS, () =>
      workflowService.describeNamespace({ namespace }),
    );
    return Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) / DAY_SECONDS;
  } catch (error) {
    if (grpcErrorIn(error)?.code === status.NOT_FOUND) return undefined;
    throw error;
  }
}

/** Tests the TCP connection first, because a gRPC client keeps retrying without reporting the reason. */
async function testTcpConnection(address: string): Promise<Error | undefined> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connectTcp({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    timeout: RESPONSE_TIMEOUT_MS,
  });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
      socket.once('timeout', () => resolve(Object.assign(new Error('no response'), { code: 'ETIMEDOUT' })));
    });
  } finally {
    socket.destroy();
  }
}
