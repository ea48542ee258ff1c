import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Answer, errorPage, refused } from './answer.js';
import type { Fault, Faults, OperationName } from './faults.js';
import type { Hold, Holds } from './holds.js';
import type { Ledger } from './ledger.js';
import type { ReceivedRequests } from './received-requests.js';

/** A call that changes the world: once an idempotency key, whatever happens to its answer. */
export interface Operation<Body extends { orderId: string }> {
  name: OperationName;
  body: z.ZodType<Body>;
  /** Decides and records without waiting, so that calls never interleave. */
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

/** Makes the route handler of an operation: validate, hold, go wrong if told so, take effect, answer. */
export function serve<Body extends { orderId: string }>(operation: Operation<Body>, around: Surroundings) {
  return async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { socket } = request.raw;
    const received = around.requests.note(request);
    const answer = await answerTo(request, (fault) => (received.fault = fault.fault));
    if (answer === noAnswer) {
      reply.hijack();
      socket.destroy();
      return reply;
    }
    if (!socket.destroyed) received.status = answer.status;
    return reply
      .code(answer.status)
      .headers(answer.headers ?? {})
      .send(answer.body);
  };

  async function answerTo(request: FastifyRequest, onFault: (fault: Fault) => void) {
    const key = keySchema.safeParse(request.headers['idempotency-key']);
    if (!key.success) return refused(400, 'idempotency_key_required', 'The header Idempotency-Key is missing.');
    const body = operation.body.safeParse(request.body);
    if (!body.success) return refused(400, 'invalid_request', z.prettifyError(body.error));

    const fault = around.faults.take(operation.name, body.data.orderId);
    if (fault) onFault(fault);
    const hold = around.holds.find(operation.name, body.data.orderId);
    const call = carryOut(key.data, body.data, request, fault, hold);
    hold?.track(call);
    return call;
  }

  async function carryOut(key: string, body: Body, request: FastifyRequest, fault?: Fault, hold?: Hold) {
    const { socket } = request.raw;
    if (hold?.effect === 'after' && !(await hold.pass(socket))) return noAnswer;
    if (fault?.fault === 'unreachable') return noAnswer;
    if (fault?.fault === 'error') return injectedError(fault);

    const answer = operation.effect(key, body);
    await around.ledger.durable();

    if (hold?.effect === 'before' && !(await hold.pass(socket))) return noAnswer;
    if (fault?.fault === 'lose-answer') return noAnswer;
    if (fault?.fault === 'malformed') return { status: 200, body: { unexpected: 'shape' } };
    if (fault?.fault === 'slow') await sleep(fault.delayMs, undefined, { signal: around.closing }).catch(() => {});
    return answer;
  }
}

/** The answer of the fault `error`. */
export function injectedError({ status, code, retryAfter }: Fault): Answer {
  const answer = code === null ? errorPage(status) : refused(status, code, 'This call was told to fail.');
  return { ...answer, headers: { ...answer.headers, ...(retryAfter !== undefined && { 'retry-after': retryAfter }) } };
}
