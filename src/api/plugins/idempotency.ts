import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '../../schemas/shared/problem.js';
import { idempotencyKey } from '../../schemas/shared/primitives.js';
import type { StoredResponse } from '../../store/idempotency-keys.js';
import type { Store } from '../../store/index.js';
import { restrictedIdOf } from './auth/caller.js';
import type { RouteContract } from './route-contract.js';
import { httpProblem, HttpProblem, invalidRequest, toProblem } from './errors.js';
import type { ProblemKind } from './problem-kinds.js';

/** The ids that the API derives from an `Idempotency-Key` and sends to Temporal. */
export interface CallIdentity {
  /** The id of the created resource, if the caller gives none. A repetition of the request gets the same id. */
  resourceId: string;
  /** The id of the request itself. Temporal applies requests with the same id once. */
  operationId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    callIdentity: CallIdentity | undefined;
    /** The claim on the idempotency key, or the response to replay. */
    idempotencyClaim: IdempotencyClaim | undefined;
  }
}

interface IdempotencyClaim {
  scope: Buffer;
  /** Absent when the request was answered before and only runs to compare its content. */
  claimId?: string;
  storedResponse?: StoredResponse;
  /** Stops renewing the claim. */
  stopRenewal?: () => void;
}

/**
 * Whether a response below 500 is kept for repetitions. A response that is not kept means that nothing changed, so the
 * next attempt gets a response of its own. A rejected upload is not kept either: its caller may send corrected content,
 * which is known only after it was read.
 */
const shouldStoreResponse = (status: number, { idempotency }: Pick<RouteContract, 'idempotency'> = {}) =>
  (status >= 200 && status < 300) || (idempotency !== 'upload' && [409, 410, 422].includes(status));

const STORED_HEADERS = ['content-type', 'location'];

/** A hanging database must not delay a response for longer than this. */
const STORE_TIMEOUT_MS = 5_000;

const PURGE_INTERVAL_MS = 10 * 60_000;

/** A third of the 30 s after which a claim expires. */
const RENEWAL_INTERVAL_MS = 10_000;

/**
 * `Idempotency-Key`: a repeated request gets the response to the first one, from any process. The operation runs only
 * once in any case, because the key becomes the id of the workflow, update or signal. The store keeps the response and
 * a fingerprint of the request, because Temporal keeps neither beyond a run.
 */
export function installIdempotency(app: FastifyInstance, store: Store): void {
  app.decorateRequest('named');
  app.decorateRequest('claimed');

  app.addHook('preHandler', async (request, reply) => {
    const { contract } = request.routeOptions.config;
    const key = contract?.idempotency && readIdempotencyKey(request);
    if (!key) return;
    const { caller, method, params, routeOptions } = request;
    const scope = sha256OfJson([caller.id, restrictedIdOf(caller) ?? null, method, routeOptions.url, params, key]);
    const fingerprint = sha256OfJson([request.query, fingerprintedBody(request)]);
    request.callIdentity = {
      resourceId: toUuid(scope),
      operationId: toUuid(sha256OfJson([scope.toString('hex'), fingerprint.toString('hex')])),
    };
    const claim = await store.claimIdempotencyKey(scope, fingerprint).catch((error: unknown) => {
      // If the operation does not need the store, Temporal's ids alone ensure that it runs once.
      if (contract.dependencies?.includes('store') || toProblem(error).kind !== 'store-unavailable') throw error;
      request.log.warn({ err: error }, 'could not look whether a named request was answered');
      return undefined;
    });
    if (!claim) return;
    if (claim.outcome === 'running') throw httpProblem('request-in-progress', 'the first one is not answered yet');
    if (claim.outcome === 'other') throw keyReusedProblem();
    if (claim.outcome === 'claimed') request.idempotencyClaim = { scope, ...hold(reply, scope, claim.claimId) };
    else if (contract.idempotency === 'upload') request.idempotencyClaim = { scope, storedResponse: claim.response };
    else
      await setReplayedResponse(reply, claim.response)
        .serializer(String)
        .send(withCurrentRequestId(request, claim.response));
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { idempotencyClaim } = request;
    const { contract } = request.routeOptions.config;
    if (!idempotencyClaim) return payload;
    const { scope, claimId, storedResponse, stopRenewal } = idempotencyClaim;
    stopRenewal?.();
    if (storedResponse) {
      if (reply.statusCode >= 300) return payload;
      setReplayedResponse(reply, storedResponse);
      return storedResponse.body;
    }
    const keep = async () => {
      // After a 5xx the outcome is unknown, so the key stays bound to this request.
      if (reply.statusCode >= 500) await store.expireIdempotencyClaim(scope, claimId!);
      else if (!shouldStoreResponse(reply.statusCode, contract) || typeof payload !== 'string')
        await store.releaseIdempotencyKey(scope, claimId!);
      else
        await store.storeIdempotentResponse(scope, claimId!, {
          status: reply.statusCode,
          headers: storedHeadersOf(reply),
          body: payload,
        });
    };
    // If the response cannot be kept, the caller gets it all the same. A repetition then runs again, with the same ids.
    const kept = keep().catch((err: unknown) => {
      request.log.warn({ err }, 'could not keep the answer to a named request');
    });
    await Promise.race([kept, delay(STORE_TIMEOUT_MS, undefined, { ref: false })]);
    return payload;
  });

  /** Renews the claim until the request ends, because an upload can take longer than a claim lasts. */
  function hold(reply: FastifyReply, scope: Buffer, claim: string) {
    const timer = setInterval(
      () => void store.renewIdempotencyClaim(scope, claim).catch(() => undefined),
      RENEWAL_INTERVAL_MS,
    ).unref();
    const letGo = () => clearInterval(timer);
    reply.raw.once('close', letGo);
    return { claim, letGo };
  }

  const purge = setInterval(() => {
    store
      .deleteExpiredIdempotencyKeys()
      .catch((err: unknown) => app.log.warn({ err }, 'could not forget old idempotency keys'));
  }, PURGE_INTERVAL_MS).unref();
  app.addHook('onClose', async () => clearInterval(purge));
}

const ID_TAKEN_KINDS: readonly ProblemKind[] = ['order-id-taken', 'approval-id-taken', 'batch-id-taken'];

/**
 * Converts the error for a taken id if the id was derived from the idempotency key: the earlier request had another
 * content.
 */
export function toKeyReusedProblem(error: unknown, isOfName: boolean | undefined): HttpProblem | undefined {
  return isOfName && error instanceof HttpProblem && ID_TAKEN_KINDS.includes(error.kind)
    ? keyReusedProblem()
    : undefined;
}

const keyReusedProblem = () =>
  httpProblem('idempotency-key-reused', 'this Idempotency-Key named a request with another content before');

/** The idempotency key of a request. @throws 400 when the header is present but invalid. */
function readIdempotencyKey({ headers }: FastifyRequest): string | undefined {
  const header = headers['idempotency-key'];
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (parsed.success) return parsed.data;
  throw invalidRequest([{ pointer: '', detail: 'the header Idempotency-Key must have 1 to 255 characters' }]);
}

/** A replayed problem gets the request id of this request. */
function withCurrentRequestId({ id: requestId }: FastifyRequest, { status, body }: StoredResponse): string {
  return status < 400 ? body : JSON.stringify({ ...(JSON.parse(body) as Problem), requestId });
}

const setReplayedResponse = (reply: FastifyReply, { status, headers }: StoredResponse) =>
  reply.code(status).headers({ ...headers, 'idempotent-replayed': 'true' });

const storedHeadersOf = (reply: FastifyReply): Record<string, string> =>
  Object.fromEntries(
    STORED_HEADERS.flatMap((name) => (reply.hasHeader(name) ? [[name, String(reply.getHeader(name))]] : [])),
  );

/** The parsed body; null for an upload, whose stream is not read yet. */
const fingerprintedBody = ({ body, routeOptions }: FastifyRequest) =>
  routeOptions.config.contract?.idempotency === 'upload' ? null : (body ?? null);

const sha256OfJson = (parts: unknown[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest();

/** Formats a digest as a UUID of version 8, which leaves the bits to the application (RFC 9562). */
function toUuid(digest: Buffer): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
