import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type FakeResponse, htmlErrorResponse, errorResponse } from './responses.js';
import type { CallFault, CallFaults, OperationName } from './call-faults.js';
import type { Hold, Holds } from './holds.js';
import type { Ledger } from '../ledger/ledger.js';
import type { ReceivedRequests } from './received-requests.js';

/** A call with an effect, for example a charge. A repeated call with the same idempotency key has no second effect. */
export interface Operation<Body extends { orderId: string }> {
  name: OperationName;
  body: z.ZodType<Body>;
  /** Must be synchronous, so that no other call runs between the check and the ledger entry. */
  effect: (key: string, body: Body) => FakeResponse;
}

export interface CallContext {
  ledger: Ledger;
  faults: CallFaults;
  holds: Holds;
  requests: ReceivedRequests;
  closing: AbortSignal;
}

const idempotencyKeySchema = z.string().min(1).max(255);
export const NO_RESPONSE = Symbol('no response');

/**
 * Creates the route handler of an operation. The handler validates the request, applies holds and injected faults,
 * performs the effect and sends the response.
 */
export function operationHandler<Body extends { orderId: string }>(operation: Operation<Body>, context: CallContext) {
  return async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { socket } = request.raw;
    const received = context.requests.record(request);
    const response = await respondTo(request, (fault) => (received.fault = fault.fault));
    if (response !== NO_RESPONSE && !socket.destroyed) received.status = response.status;
    return sendResponse(reply, socket, response);
  };

  async function respondTo(request: FastifyRequest, onFault: (fault: CallFault) => void) {
    const key = idempotencyKeySchema.safeParse(request.headers['idempotency-key']);
    if (!key.success) return errorResponse(400, 'idempotency_key_required', 'The header Idempotency-Key is missing.');
    const body = operation.body.safeParse(request.body);
    if (!body.success) return errorResponse(400, 'invalid_request', z.prettifyError(body.error));

    return handleCall(operation.name, body.data.orderId, {
      context,
      socket: request.raw.socket,
      onFault,
      effect: () => operation.effect(key.data, body.data),
    });
  }
}

/**
 * Creates the route handler of a query by order id. The handler applies holds and injected faults and sends the
 * response. Queries are not recorded in `requests`.
 */
export function lookupHandler(name: OperationName, lookUp: (orderId: string) => FakeResponse, context: CallContext) {
  return async function handle(
    request: FastifyRequest<{ Params: { orderId: string } }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { orderId } = request.params;
    const { socket } = request.raw;
    const response = await handleCall(name, orderId, { context, socket, effect: () => lookUp(orderId) });
    return sendResponse(reply, socket, response);
  };
}

interface CallOptions {
  context: CallContext;
  socket: Socket;
  effect: () => FakeResponse;
  onFault?: (fault: CallFault) => void;
}

/** Handles a call and applies the hold and the injected fault that match the call, if any. */
export async function handleCall(
  name: OperationName,
  orderId: string,
  { context, socket, effect, onFault }: CallOptions,
) {
  const fault = context.faults.take(name, orderId);
  if (fault) onFault?.(fault);
  const hold = context.holds.find(name, orderId);
  const call = performCall({ context, socket, effect, fault, hold });
  hold?.addCall(call);
  return await call;
}

async function performCall({
  context,
  socket,
  effect,
  fault,
  hold,
}: CallOptions & { fault: CallFault | undefined; hold: Hold | undefined }): Promise<FakeResponse | typeof NO_RESPONSE> {
  if (hold?.waitBefore === 'effect' && !(await hold.waitForRelease(socket))) return NO_RESPONSE;
  if (fault?.fault === 'unreachable') return NO_RESPONSE;
  if (fault?.fault === 'error') return injectedError(fault);

  const response = effect();
  await context.ledger.flush();

  if (hold?.waitBefore === 'response' && !(await hold.waitForRelease(socket))) return NO_RESPONSE;
  if (fault?.fault === 'lose-response') return NO_RESPONSE;
  if (fault?.fault === 'malformed') return { status: 200, body: { unexpected: 'shape' } };
  if (fault?.fault === 'slow') await sleep(fault.delayMs, undefined, { signal: context.closing }).catch(() => {});
  return response;
}

export function sendResponse(
  reply: FastifyReply,
  socket: Socket,
  response: FakeResponse | typeof NO_RESPONSE,
): FastifyReply {
  if (response === NO_RESPONSE) {
    reply.hijack();
    socket.destroy();
    return reply;
  }
  return reply
    .code(response.status)
    .headers(response.headers ?? {})
    .send(response.body);
}

/** Builds the response of the fault `error`. */
function injectedError({ status, code, retryAfter }: CallFault): FakeResponse {
  const response =
    code === null ? htmlErrorResponse(status) : errorResponse(status, code, 'An injected fault rejects this call.');
  return {
    ...response,
    headers: { ...response.headers, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) },
  };
}
