import { createHmac, timingSafeEqual } from 'node:crypto';
import { invalidRequest } from './errors.js';
import type { Page, PageRequest } from '../executions/listing.js';

type List = 'approvals' | 'batches' | 'carts' | 'failures' | 'orders' | 'products' | 'shipment-reports';

const CHECK_BYTES = 16;

export interface Cursors {
  /** A place in a list, as the client of it gets it. */
  encode: (list: List, filter: object, place: Uint8Array) => string;
  /** @throws 400 for a cursor that this list, filtered like this, never gave. */
  decode: (list: List, filter: object, cursor: string) => Buffer;
}

/**
 * Places in lists as clients carry them: opaque, safe in a URL, and sealed. Nobody can make one up, nor carry one over to
 * another list or to what somebody else may see; Temporal would take a made-up place for a fault of its own.
 *
 * @param secrets the first one seals; those that it replaces are still accepted.
 */
export function createCursors(secrets: readonly string[]): Cursors {
  const sealOf = (secret: string, list: List, filter: object, place: Uint8Array): Buffer =>
    createHmac('sha256', secret)
      .update(JSON.stringify([list, definedEntries(filter)]))
      .update(place)
      .digest()
      .subarray(0, CHECK_BYTES);

  return {
    encode: (list, filter, place) =>
      Buffer.concat([sealOf(secrets[0]!, list, filter, place), place]).toString('base64url'),
    decode(list, filter, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const seal = bytes.subarray(0, CHECK_BYTES);
      const place = bytes.subarray(CHECK_BYTES);
      const isOurs = secrets.some(
        (secret) => seal.length === CHECK_BYTES && timingSafeEqual(sealOf(secret, list, filter, place), seal),
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

/** A page of a list as its client gets it, with a sealed place where the next one starts. @throws 400 for a foreign cursor. */
export async function sealedPage<T>(
  { encode, decode }: Cursors,
  list: List,
  filter: object,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
  read: (page: PageRequest) => Promise<Page<T>>,
): Promise<{ items: T[]; nextCursor?: string }> {
  const { items, nextPlace } = await read({ limit, ...(cursor && { place: decode(list, filter, cursor) }) });
  return { items, ...(nextPlace && { nextCursor: encode(list, filter, nextPlace) }) };
}
