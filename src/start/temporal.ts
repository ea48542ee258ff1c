import { connect as connectTcp } from 'node:net';
import { isGrpcServiceError, type Connection } from '@temporalio/client';
import type { TemporalCredentials } from '../temporal/profile.js';
import { connect } from '../temporal/connections.js';
import { ANSWER_TIMEOUT_MS, NO_ANSWER, reasonOf, type Finding } from './finding.js';

interface Target {
  TEMPORAL_ADDRESS: string;
  TEMPORAL_NAMESPACE: string;
  TEMPORAL_CREDENTIALS: TemporalCredentials;
}

/** gRPC status codes, by their names in the specification. */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

/** Connects like the application. With `withNamespace`, also checks that the namespace exists. */
export async function temporalFinding(
  target: Target,
  { withNamespace }: { withNamespace: boolean },
): Promise<Finding | undefined> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, TEMPORAL_CREDENTIALS: credentials } = target;
  const unreachable = (reason: string): Finding => ({
    kind: 'unreachable',
    name: 'TEMPORAL_ADDRESS',
    problem: `Temporal on ${address} cannot be reached: ${reason}`,
    example: '127.0.0.1:7233',
  });
  const tcpError = await tcpErrorOf(address);
  if (tcpError) return unreachable(reasonOf(tcpError));
  let connection: Connection | undefined;
  try {
    connection = await connect(target);
    if (!withNamespace) return undefined;
    const { workflowService } = connection;
    await connection.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      workflowService.describeNamespace({ namespace }),
    );
    return undefined;
  } catch (error) {
    const { code, details } = isGrpcServiceError(error) ? error : { code: undefined, details: '' };
    if (code === NOT_FOUND)
      return {
        kind: 'rejected',
        name: 'TEMPORAL_NAMESPACE',
        problem: `Temporal on ${address} has no such namespace; run setup first`,
        got: namespace,
        example: 'default',
      };
    if (code === PERMISSION_DENIED || code === UNAUTHENTICATED)
      return {
        kind: 'rejected',
        name: 'TEMPORAL_API_KEY',
        problem: `Temporal on ${address} denies access${credentials.apiKey === undefined ? ' without a key' : ''}: ${details}`,
        example: '<an API key for this namespace>',
      };
    return unreachable(`${NO_ANSWER} of a Temporal server; do TEMPORAL_TLS and its certificates fit?`);
  } finally {
    await connection?.close();
  }
}

/** Tests the TCP connection first, because a gRPC client keeps retrying without reporting the reason. */
async function tcpErrorOf(address: string): Promise<Error | undefined> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connectTcp({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), timeout: ANSWER_TIMEOUT_MS });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
      socket.once('timeout', () => resolve(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
    });
  } finally {
    socket.destroy();
  }
}
