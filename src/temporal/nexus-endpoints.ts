import { status } from '@grpc/grpc-js';
import type { Connection } from '@temporalio/client';
import { grpcErrorIn } from './grpc-errors.js';

/** Returns the name of the Nexus endpoint of a namespace. An endpoint name has no dots. */
export const endpointOf = (namespace: string): string => namespace.replaceAll('.', '-');

interface EndpointTarget {
  namespace: string;
  taskQueue: string;
}

/** Thrown when the server cannot create the endpoint, or has an endpoint of this name with another target. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError';
}

/**
 * Creates the Nexus endpoint of a namespace if it is missing. The endpoint routes operations to the task queue.
 *
 * @returns whether the endpoint is new.
 * @throws EndpointError.
 */
export async function ensureEndpoint(connection: Connection, target: EndpointTarget): Promise<boolean> {
  const name = endpointOf(target.namespace);
  try {
    const existing = await findTarget(connection, name);
    if (!existing) {
      await connection.operatorService.createNexusEndpoint({ spec: { name, target: { worker: target } } });
      return true;
    }
    const { namespace, taskQueue } = existing;
    if (namespace === target.namespace && taskQueue === target.taskQueue) return false;
    throw new EndpointError(`the Nexus endpoint ${name} routes to task queue ${taskQueue} of namespace ${namespace}`);
  } catch (error) {
    const grpc = grpcErrorIn(error);
    if (grpc?.code === status.ALREADY_EXISTS) return false;
    if (grpc?.code === status.UNIMPLEMENTED || grpc?.code === status.FAILED_PRECONDITION)
      throw new EndpointError(`the Temporal server does not support Nexus endpoints: ${grpc.details}`);
    throw error;
  }
}

async function findTarget(connection: Connection, name: string) {
  const { endpoints } = await connection.operatorService.listNexusEndpoints({ name });
  const [endpoint] = endpoints ?? [];
  return endpoint && (endpoint.spec?.target?.worker ?? {});
}
