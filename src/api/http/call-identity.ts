import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { idempotencyKey } from '../../schemas/shared/primitives.js';
import { invalidRequest } from '../problems/http-problem.js';
import { restrictedIdOf } from './caller.js';

/** Identifies a call that has an `Idempotency-Key`. A repetition of the call has the same identity. */
export interface CallIdentity {
  /** The idempotency key that the caller chose. */
  key: string;
  /** SHA-256 of the key with the caller and the route, so that two callers can choose the same key. */
  scope: Buffer;
  /** SHA-256 of the content of the request. */
  fingerprint: Buffer;
  /** The id of the created resource, if the caller gives none. Depends on `scope` alone. */
  resourceId: string;
  /** The id of the call in Temporal, which applies calls with the same id once. Depends on `scope` and `fingerprint`. */
  operationId: string;
}

/**
 * The identity of a request; undefined without an `Idempotency-Key`.
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
