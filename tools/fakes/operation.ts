import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Answer, errorPage, refused } from './answer.js';
import type { Fault, Faults, OperationName } from './faults.js';
import type { Hold, Holds } from './holds.js';
import type { Ledger } from './ledger.js';
import type { ReceivedRequests } from './received-requests.js';

/** A call with an effect. The effect happens once per idempotency key, whatever happens to the response. */
export interface Operation<Body extends { orderId: string }> {
  name: OperationName;
  body: z.ZodType<Body>;
  /** Decides and records synchronously, so that calls never interleave. */
  effect: (key: string, body: Body) => Answer;
}

export interface Surroundings {
  ledger: Ledger;
  faults: Faults;
  holds: Holds;
  requests: ReceivedRequests;
  closing: AbortSignal;
}

const keySchema = z.string().min(1).max(255);
const noAnswer = Symbol('no answer');

/**
 * Creates the route handler of an operation: validates, waits at a hold, applies an injected fault, performs the
 * effect, responds.
 */
export function serve<Body extends { orderId: string }>(operation: Operation<Body>, around: Surroundings) {
  return async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { socket } = request.raw;
    const received = around.requests.note(request);
    const answer = await answerTo(request, (fault) => (received.fault = fault.fault));
    if (answer !== noAnswer && !socket.destroyed) received.status = answer.status;
    return send(reply, socket, answer);
  };

  async function answerTo(request: FastifyRequest, onFault: (fault: Fault) => void) {
    const key = keySchema.safeParse(request.headers['idempotency-key']);
    if (!key.success) return refused(400, 'idempotency_key_required', 'The header Idempotency-Key is missing.');
    const body = operation.body.safeParse(request.body);
    if (!body.success) return refused(400, 'invalid_request', z.prettifyError(body.error));

    return take(operation.name, body.data.orderId, {
      around,
      socket: request.raw.socket,
      onFault,
      effect: () => operation.effect(key.data, body.data),
    });
  }
}

/**
 * Creates the route handler of a query by order id: waits at a hold, applies an injected fault, responds. Queries are
 * not recorded.
 */
export function serveQuestion(name: OperationName, answerTo: (orderId: string) => Answer, around: Surroundings) {
  return async function handle(
    request: FastifyRequest<{ Params: { orderId: string } }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { orderId } = request.params;
    const { socket } = request.raw;
    const answer = await take(name, orderId, { around, socket, effect: () => answerTo(orderId) });
    return send(reply, socket, answer);
  };
}

interface Call {
  around: Surroundings;
  socket: Socket;
  effect: () => Answer;
  onFault?: (fault: Fault) => void;
}

/** Handles a call, with the hold and the injected fault for it, if any. */
async function take(name: OperationName, orderId: string, { around, socket, effect, onFault }: Call) {
  const fault = around.faults.take(name, orderId);
  if (fault) onFault?.(fault);
  const hold = around.holds.find(name, orderId);
  const call = carryOut({ around, socket, effect, fault, hold });
  hold?.track(call);
  return await call;
}

async function carryOut({
  around,
  socket,
  effect,
  fault,
  hold,
}: Call & { fault: Fault | undefined; hold: Hold | undefined }): Promise<Answer | typeof noAnswer> {
  if (hold?.effect === 'after' && !(await hold.pass(socket))) return noAnswer;
  if (fault?.fault === 'unreachable') return noAnswer;
  if (fault?.fault === 'error') return injectedError(fault);

  const answer = effect();
  await around.ledger.durable();

  if (hold?.effect === 'before' && !(await hold.pass(socket))) return noAnswer;
  if (fault?.fault === 'lose-answer') return noAnswer;
  if (fault?.fault === 'malformed') return { status: 200, body: { unexpected: 'shape' } };
  if (fault?.fault === 'slow') await sleep(fault.delayMs, undefined, { signal: around.closing }).catch(() => {});
  return answer;
}

function send(reply: FastifyReply, socket: Socket, answer: Answer | typeof noAnswer): FastifyReply {
  if (answer === noAnswer) {
    reply.hijack();
    socket.destroy();
    return reply;
  }
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body);
}

/** The response of the fault `error`. */
function injectedError({ status, code, retryAfter }: Fault): Answer {
  const answer = code === null ? errorPage(status) : refused(status, code, 'This call was told to fail.');
  return { ...answer, headers: { ...answer.headers, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) } };
}
