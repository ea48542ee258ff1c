import { createHmac, timingSafeEqual } from 'node:crypto';
import { invalidRequest } from '../../problems/http-problem.js';

export type ListName = 'approvals' | 'batches' | 'carts' | 'failures' | 'orders' | 'products' | 'shipment-reports';

const SIGNATURE_BYTES = 16;

export interface Cursors {
  /** Encodes a position in a list as a cursor for the client. */
  encode: (list: ListName, filter: object, position: Uint8Array) => string;
  /** @throws 400 for a cursor that was not issued for this list with this filter. */
  decode: (list: ListName, filter: object, cursor: string) => Buffer;
}

/**
 * Creates signed, opaque and URL-safe cursors for positions in lists. A client cannot forge a cursor, and cannot use a
 * cursor for another list or for the resources of another caller.
 *
 * @param secrets the first secret signs new cursors. Cursors that are signed with the other secrets are still accepted.
 */
export function createCursors(secrets: readonly string[]): Cursors {
  const sealOf = (secret: string, list: ListName, filter: object, position: Uint8Array): Buffer =>
    createHmac('sha256', secret)
      .update(JSON.stringify([list, definedEntries(filter)]))
      .update(position)
      .digest()
      .subarray(0, SIGNATURE_BYTES);

  return {
    encode: (list, filter, position) =>
      Buffer.concat([sealOf(secrets[0]!, list, filter, position), position]).toString('base64url'),
    decode(list, filter, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const seal = bytes.subarray(0, SIGNATURE_BYTES);
      const position = bytes.subarray(SIGNATURE_BYTES);
      const isOurs = secrets.some(
        (secret) => seal.length === SIGNATURE_BYTES && timingSafeEqual(sealOf(secret, list, filter, position), seal),
      );
      if (isOurs) return position;
      throw invalidRequest([{ pointer: '/cursor', detail: 'must be the nextCursor of an earlier page of this list' }]);
    },
  };
}

const definedEntries = (filter: object): [string, unknown][] =>
  Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .sort();
