import { createHmac, timingSafeEqual } from 'node:crypto';
import { invalidRequest } from '../problems/http-problem.js';
import type { Page, PageRequest } from '../executions/listing.js';

type ListName = 'approvals' | 'batches' | 'carts' | 'failures' | 'orders' | 'products' | 'shipment-reports';

const SIGNATURE_BYTES = 16;

export interface Cursors {
  /** Encodes a position in a list as the cursor that the client gets. */
  encode: (list: ListName, filter: object, place: Uint8Array) => string;
  /** @throws 400 for a cursor that was not issued for this list with this filter. */
  decode: (list: ListName, filter: object, cursor: string) => Buffer;
}

/**
 * Cursors are signed, opaque and URL-safe positions in lists. A client can neither forge a cursor nor use it for
 * another list or for the resources of another caller. Temporal would report a forged position as its own fault.
 *
 * @param secrets the first one signs; the older ones are still accepted.
 */
export function createCursors(secrets: readonly string[]): Cursors {
  const sealOf = (secret: string, list: ListName, filter: object, place: Uint8Array): Buffer =>
    createHmac('sha256', secret)
      .update(JSON.stringify([list, definedEntries(filter)]))
      .update(place)
      .digest()
      .subarray(0, SIGNATURE_BYTES);

  return {
    encode: (list, filter, place) =>
      Buffer.concat([sealOf(secrets[0]!, list, filter, place), place]).toString('base64url'),
    decode(list, filter, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const seal = bytes.subarray(0, SIGNATURE_BYTES);
      const place = bytes.subarray(SIGNATURE_BYTES);
      const isOurs = secrets.some(
        (secret) => seal.length === SIGNATURE_BYTES && timingSafeEqual(sealOf(secret, list, filter, place), seal),
      );
      if (isOurs) return place;
      throw invalidRequest([{ pointer: '/cursor', detail: 'must be a nextCursor that this list gave before' }]);
    },
  };
}

const definedEntries = (filter: object): [string, unknown][] =>
  Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .sort();

/** Reads a page of a list, and adds a signed cursor to the next page. @throws 400 for a cursor of another list. */
export async function readPageWithCursor<T>(
  { encode, decode }: Cursors,
  list: ListName,
  filter: object,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  read: (page: PageRequest) => Promise<Page<T>>,
): Promise<{ items: T[]; nextCursor?: string }> {
  const { items, nextPosition } = await read({ limit, ...(cursor && { position: decode(list, filter, cursor) }) });
  return { items, ...(nextPosition && { nextCursor: encode(list, filter, nextPosition) }) };
}
