import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '../../schemas/problem.js';
import { idempotencyKey } from '../../schemas/text.js';
import type { KeptAnswer } from '../../store/idempotency-keys.js';
import type { Store } from '../../store/index.js';
import { restrictedTo } from './auth/caller.js';
import type { Contract } from './contract.js';
import { httpProblem, HttpProblem, invalidRequest, toProblem } from './errors.js';
import type { ProblemKind } from './problems.js';

/** A request that its caller gave a name, and what the name stands for on its way through Temporal. */
export interface NamedRequest {
  /** The id of what the request creates, if the caller gives none: whoever repeats the request names the same thing. */
  resourceId: string;
  /** The id of the request itself: Temporal does once what has the same. */
  requestId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    named: NamedRequest | undefined;
    /** What becomes of the answer. */
    claimed: Claimed | undefined;
  }
}

interface Claimed {
  scope: Buffer;
  /** None when the request was answered before, and is only run to see whether its content is the same. */
  claim?: string;
  first?: KeptAnswer;
  /** Ends saying that somebody is at it. */
  letGo?: () => void;
}

/**
 * Answers of requests that were begun. Whatever else is answered changed nothing: the next try deserves another one. An
 * upload that is refused is not begun, and its content, which may be mended by then, is not known before it is read.
 */
const isKept = (status: number, { idempotent }: Pick<Contract, 'idempotent'> = {}) =>
  (status >= 200 && status < 300) || (idempotent !== 'upload' && [409, 410, 422].includes(status));

const KEPT_HEADERS = ['content-type', 'location'];

/** A database that stands still must not hold up an answer. */
const KEEP_TIMEOUT_MS = 5_000;

const PURGE_EVERY_MS = 10 * 60_000;

/** A third of what a claim is worth. */
const RENEW_EVERY_MS = 10_000;

/**
 * `Idempotency-Key`: a request that is repeated under its name is answered as it was the first time, by any process.
 * What it does is done once anyway, because the name becomes the id of the workflow, update or signal; only the answer,
 * and what was asked, are kept in the store, because Temporal keeps neither beyond a run.
 */
export function installIdempotency(app: FastifyInstance, store: Store): void {
  app.decorateRequest('named');
  app.decorateRequest('claimed');

  app.addHook('preHandler', async (request, reply) => {
    const { contract } = request.routeOptions.config;
    const key = contract?.idempotent && keyOf(request);
    if (!key) return;
    const { caller, method, params, routeOptions } = request;
    const scope = hash([caller.id, restrictedTo(caller) ?? null, method, routeOptions.url, params, key]);
    const fingerprint = hash([request.query, bodyOf(request)]);
    request.named = {
      resourceId: toUuid(scope),
      requestId: toUuid(hash([scope.toString('hex'), fingerprint.toString('hex')])),
    };
    const claim = await store.claimKey(scope, fingerprint).catch((error: unknown) => {
      // Where Temporal needs no store, its ids alone see to it that it is done once.
      if (contract.needs?.includes('store') || toProblem(error).kind !== 'store-unavailable') throw error;
      request.log.warn({ err: error }, 'could not look whether a named request was answered');
      return undefined;
    });
    if (!claim) return;
    if (claim.outcome === 'running') throw httpProblem('request-in-progress', 'the first one is not answered yet');
    if (claim.outcome === 'other') throw keyReused();
    if (claim.outcome === 'claimed') request.claimed = { scope, ...hold(reply, scope, claim.claim) };
    else if (contract.idempotent === 'upload') request.claimed = { scope, first: claim.answer };
    else await replay(reply, claim.answer).serializer(String).send(bodyFor(request, claim.answer));
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { claimed } = request;
    const { contract } = request.routeOptions.config;
    if (!claimed) return payload;
    const { scope, claim, first, letGo } = claimed;
    letGo?.();
    if (first) {
      if (reply.statusCode >= 300) return payload;
      replay(reply, first);
      return first.body;
    }
    const keep = async () => {
      // A 5xx leaves open whether it was done, so the key goes on standing for this request.
      if (reply.statusCode >= 500) await store.suspendKey(scope, claim!);
      else if (!isKept(reply.statusCode, contract) || typeof payload !== 'string')
        await store.releaseKey(scope, claim!);
      else
        await store.keepAnswer(scope, claim!, { status: reply.statusCode, headers: keptHeaders(reply), body: payload });
    };
    // If it cannot be kept it was done all the same, and says so; repeated, it is done again under the same ids.
    const kept = keep().catch((err: unknown) => {
      request.log.warn({ err }, 'could not keep the answer to a named request');
    });
    await Promise.race([kept, delay(KEEP_TIMEOUT_MS, undefined, { ref: false })]);
    return payload;
  });

  /** Goes on saying that somebody is at it: an upload takes as long as it takes. */
  function hold(reply: FastifyReply, scope: Buffer, claim: string) {
    const timer = setInterval(() => void store.renewKey(scope, claim).catch(() => undefined), RENEW_EVERY_MS).unref();
    const letGo = () => clearInterval(timer);
    reply.raw.once('close', letGo);
    return { claim, letGo };
  }

  const purge = setInterval(() => {
    store.purgeKeys().catch((err: unknown) => app.log.warn({ err }, 'could not forget old idempotency keys'));
  }, PURGE_EVERY_MS).unref();
  app.addHook('onClose', async () => clearInterval(purge));
}

const TAKEN: readonly ProblemKind[] = ['order-id-taken', 'approval-id-taken', 'batch-id-taken'];

/** What it means that an id is taken that was made of the name of the request: its content is another one. */
export function takenByName(error: unknown, isOfName: boolean | undefined): HttpProblem | undefined {
  return isOfName && error instanceof HttpProblem && TAKEN.includes(error.kind) ? keyReused() : undefined;
}

const keyReused = () =>
  httpProblem('idempotency-key-reused', 'this Idempotency-Key named a request with another content before');

/** The name that the caller gave the request. @throws 400 when the header is there and no name. */
function keyOf({ headers }: FastifyRequest): string | undefined {
  const header = headers['idempotency-key'];
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (parsed.success) return parsed.data;
  throw invalidRequest([{ pointer: '', detail: 'the header Idempotency-Key must have 1 to 255 characters' }]);
}

/** A problem names the request that it answers, which is this one. */
function bodyFor({ id: requestId }: FastifyRequest, { status, body }: KeptAnswer): string {
  return status < 400 ? body : JSON.stringify({ ...(JSON.parse(body) as Problem), requestId });
}

const replay = (reply: FastifyReply, { status, headers }: KeptAnswer) =>
  reply.code(status).headers({ ...headers, 'idempotent-replayed': 'true' });

const keptHeaders = (reply: FastifyReply): Record<string, string> =>
  Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : [])),
  );

/** What was parsed; of an upload, which is a stream, nothing yet. */
const bodyOf = ({ body, routeOptions }: FastifyRequest) =>
  routeOptions.config.contract?.idempotent === 'upload' ? null : (body ?? null);

const hash = (parts: unknown[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest();

/** As a UUID of version 8, whose bits are the maker's own (RFC 9562). */
function toUuid(digest: Buffer): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
