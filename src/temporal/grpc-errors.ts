import { status } from '@grpc/grpc-js';
import {
  isGrpcServiceError,
  QueryRejectedError,
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';

const NO_RESPONSE_CODES: readonly status[] = [status.CANCELLED, status.DEADLINE_EXCEEDED, status.FAILED_PRECONDITION];

/** Returns the gRPC error of the server, which the client often wraps. Returns undefined for other errors. */
export function grpcErrorIn(error: unknown): { code: status; details: string } | undefined {
  const grpc = (error as { cause?: unknown } | undefined)?.cause ?? error;
  return isGrpcServiceError(grpc) ? grpc : undefined;
}

/** Whether the error means that the workflow does not exist or is closed. */
export function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcErrorIn(error)?.code === status.NOT_FOUND;
}

/** Whether the server does not offer a call, or does not allow it with these credentials. */
export function isUnsupportedCall(error: unknown): boolean {
  const code = grpcErrorIn(error)?.code;
  return code === status.UNIMPLEMENTED || code === status.PERMISSION_DENIED;
}

/** Whether a query or update failed because no worker responded. */
export function isNoWorkerResponse(error: unknown): boolean {
  if (error instanceof QueryRejectedError || error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const grpc = grpcErrorIn(error);
  return grpc !== undefined && NO_RESPONSE_CODES.includes(grpc.code);
}

/** Whether the server lost an update together with its workflow task. The caller can send the update again. */
export function isLostUpdate(error: unknown): boolean {
  const grpc = grpcErrorIn(error);
  return grpc?.code === status.FAILED_PRECONDITION && /unexpected workflow task failure/.test(grpc.details);
}

/** Whether the server rejected an update because the run has reached its update limit. */
export function isUpdateLimitError(error: unknown): boolean {
  const grpc = grpcErrorIn(error);
  return grpc !== undefined && /total number of (distinct )?updates/i.test(grpc.details);
}
