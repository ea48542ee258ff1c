import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { idempotencyKey } from '../../schemas/shared/primitives.js';
import { invalidRequest } from '../problems/http-problem.js';
import { restrictedIdOf } from './caller.js';

/** Identifies a call that has an `Idempotency-Key`. A repetition of the call has the same identity. */
export interface CallIdentity {
  /** The idempotency key that the caller chose. */
  key: string;
  /** SHA-256 of the key, the caller and the route. Two callers can therefore choose the same key. */
  scope: Buffer;
  /** SHA-256 of the content of the request. */
  fingerprint: Buffer;
  /** The id of the new resource if the caller does not choose an id. Derived from `scope` only. */
  resourceId: string;
  /**
   * The id of the call in Temporal, which applies calls with the same id only once. Derived from `scope` and
   * `fingerprint`.
   */
  operationId: string;
}

/**
 * Returns the identity of a request; undefined if the request has no `Idempotency-Key`.
 *
 * @throws 400 when the header is invalid.
 */
export function readCallIdentity(request: FastifyRequest): CallIdentity | undefined {
  const key = readIdempotencyKey(request);
  if (key === undefined) return undefined;
  const { caller, method, params, routeOptions } = request;
  const scope = sha256OfJson([caller.id, restrictedIdOf(caller) ?? null, method, routeOptions.url, params, key]);
  const fingerprint = sha256OfJson([request.query, fingerprintedBody(request)]);
  return {
    key,
    scope,
    fingerprint,
    resourceId: toUuid(scope),
    operationId: toUuid(sha256OfJson([scope.toString('hex'), fingerprint.toString('hex')])),
  };
}

function readIdempotencyKey({ headers }: FastifyRequest): string | undefined {
  const header = headers['idempotency-key'];
  if (header === undefined) return undefined;
  const parsed = idempotencyKey.safeParse(header);
  if (parsed.success) return parsed.data;
  throw invalidRequest([{ pointer: '', detail: 'the header Idempotency-Key must have 1 to 255 characters' }]);
}

/** Returns the parsed body. For an upload, returns null, because the stream has not been read yet. */
const fingerprintedBody = ({ body, routeOptions }: FastifyRequest) =>
  routeOptions.config.contract?.idempotency === 'upload' ? null : (body ?? null);

const sha256OfJson = (parts: unknown[]): Buffer => createHash('sha256').update(JSON.stringify(parts)).digest();

/** Formats a digest as a UUID of version 8. The application chooses the bits of this version (RFC 9562). */
function toUuid(digest: Buffer): string {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
