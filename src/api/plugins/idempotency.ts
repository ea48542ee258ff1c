import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { withTimeout } from '../../async/promises.js';
import type { Problem } from '../../schemas/shared/problem.js';
import type { StoredResponse } from '../../store/idempotency-keys.js';
import type { Store } from '../../store/index.js';
import { readCallIdentity, type CallIdentity } from '../http/call-identity.js';
import type { RouteContract } from '../http/route-contract.js';
import { toProblem } from '../problems/error-mapping.js';
import { httpProblem, HttpProblem } from '../problems/http-problem.js';
import type { ProblemKind } from '../problems/problem-kinds.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined for a request without an `Idempotency-Key`, and on routes that ignore the header. */
    callIdentity: CallIdentity | undefined;
    /** The claim on the idempotency key, or the response to replay. */
    idempotencyClaim: IdempotencyClaim | undefined;
  }
}

/**
 * With `claimId`, the request holds the key. With `storedResponse`, the request runs only to compare its content with
 * the first request.
 */
type IdempotencyClaim =
  { claimId: string; stopRenewal: () => void; storedResponse?: undefined } | { storedResponse: StoredResponse };

const STORED_HEADERS = ['content-type', 'location'];

/** Maximum time that a hanging database may delay a response. */
const STORE_TIMEOUT_MS = 5_000;

/** A third of the 30 s after which a claim expires. */
const RENEWAL_INTERVAL_MS = 10_000;

/**
 * Implements `Idempotency-Key`: a repeated request gets the response to the first request from every API process. The
 * operation itself runs only once, because the key determines the id of the workflow, update or signal. The store keeps
 * the response and a fingerprint of the request, because Temporal does not keep them after the run.
 */
export const idempotencyPlugin = fp(
  async (app: FastifyInstance, { store }: { store: Store }) => {
    app.decorateRequest('callIdentity');
    app.decorateRequest('idempotencyClaim');

    app.addHook('preHandler', async (request, reply) => {
      const { contract } = request.routeOptions.config;
      const callIdentity = contract?.idempotency && readCallIdentity(request);
      if (!callIdentity) return;
      request.callIdentity = callIdentity;
      const { scope, fingerprint } = callIdentity;
      const claim = await store.claimIdempotencyKey(scope, fingerprint).catch((error: unknown) => {
        // If the operation does not need the store, Temporal's ids alone ensure that the operation runs once.
        if (contract.dependencies?.includes('store') || toProblem(error).kind !== 'store-unavailable') throw error;
        request.log.warn({ err: error }, 'could not check for a stored response of the idempotency key');
        return undefined;
      });
      if (!claim) return;
      if (claim.outcome === 'running')
        throw httpProblem('request-in-progress', 'the first request with this Idempotency-Key is still running');
      if (claim.outcome === 'other') throw keyReusedProblem();
      if (claim.outcome === 'claimed') {
        const { claimId } = claim;
        request.idempotencyClaim = { claimId, stopRenewal: renewClaimUntilClose(reply, scope, claimId) };
      } else if (contract.idempotency === 'upload') {
        request.idempotencyClaim = { storedResponse: claim.response };
      } else {
        await setReplayedResponse(reply, claim.response)
          .serializer(String)
          .send(withCurrentRequestId(request, claim.response));
      }
    });

    app.addHook('onSend', async (request, reply, payload) => {
      const { callIdentity, idempotencyClaim: claim } = request;
      if (!callIdentity || !claim) return payload;
      if (claim.storedResponse) {
        if (reply.statusCode >= 300) return payload;
        setReplayedResponse(reply, claim.storedResponse);
        return claim.storedResponse.body;
      }
      claim.stopRenewal();
      // If the response cannot be stored, the caller still gets the response. A repeated request then runs again with the
      // same ids.
      const stored = settleClaim(request, reply, { ...callIdentity, ...claim }, payload).catch((err: unknown) => {
        request.log.warn({ err }, 'could not store the response of the idempotency key');
      });
      await withTimeout(stored, STORE_TIMEOUT_MS, () => undefined);
      return payload;
    });

    /** Stores the response for repeated requests, or releases the key. */
    async function settleClaim(
      { routeOptions }: FastifyRequest,
      reply: FastifyReply,
      { scope, claimId }: { scope: Buffer; claimId: string },
      payload: unknown,
    ): Promise<void> {
      // After a 5xx, the outcome is unknown. The key stays bound to the content of this request, but the claim expires.
      if (reply.statusCode >= 500) await store.expireIdempotencyClaim(scope, claimId);
      else if (typeof payload !== 'string' || !shouldStoreResponse(reply.statusCode, routeOptions.config.contract))
        await store.releaseIdempotencyKey(scope, claimId);
      else
        await store.storeIdempotentResponse(scope, claimId, {
          status: reply.statusCode,
          headers: storedHeadersOf(reply),
          body: payload,
        });
    }

    /**
     * Renews the claim until the connection closes, because an upload can take longer than a claim lasts.
     *
     * @returns a function that stops the renewal before the connection closes.
     */
    function renewClaimUntilClose(reply: FastifyReply, scope: Buffer, claimId: string): () => void {
      const timer = setInterval(
        () => void store.renewIdempotencyClaim(scope, claimId).catch(() => undefined),
        RENEWAL_INTERVAL_MS,
      ).unref();
      const stopRenewal = () => clearInterval(timer);
      reply.raw.once('close', stopRenewal);
      return stopRenewal;
    }
  },
  { name: 'idempotency', dependencies: ['auth'] },
);

/**
 * Whether a response below 500 is stored for repeated requests. If the response is not stored, nothing has changed, so
 * a repeated request is processed again. The response to a rejected upload is not stored, because the caller may upload
 * corrected content with the same key.
 */
const shouldStoreResponse = (status: number, { idempotency }: Pick<RouteContract, 'idempotency'> = {}) =>
  (status >= 200 && status < 300) || (idempotency !== 'upload' && [409, 410, 422].includes(status));

const ID_TAKEN_KINDS: readonly ProblemKind[] = ['order-id-taken', 'approval-id-taken', 'batch-id-taken'];

/** Converts the problem of a taken id to `idempotency-key-reused` if the id was derived from the idempotency key. */
export function toKeyReusedProblem(error: unknown, isIdFromKey: boolean): HttpProblem | undefined {
  return isIdFromKey && error instanceof HttpProblem && ID_TAKEN_KINDS.includes(error.kind)
    ? keyReusedProblem()
    : undefined;
}

const keyReusedProblem = () =>
  httpProblem('idempotency-key-reused', 'an earlier request with this Idempotency-Key had different content');

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
