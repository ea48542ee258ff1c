import { createHash } from 'node:crypto';
import { invalidRequest } from './errors.js';

type List = 'approvals' | 'batches' | 'failures' | 'orders' | 'products';

const CHECK_BYTES = 6;

/**
 * A place in a list as clients carry it: opaque, safe in a URL, and with a checksum in front. Temporal answers a place
 * that it never gave as if it were away itself, so a made-up cursor has to be noticed here.
 */
export const encodeCursor = (list: List, place: Uint8Array): string =>
  Buffer.concat([checkOf(list, place), place]).toString('base64url');

/** @throws 400 for a cursor that this list never gave. */
export function decodeCursor(list: List, cursor: string): Buffer {
  const bytes = Buffer.from(cursor, 'base64url');
  const place = bytes.subarray(CHECK_BYTES);
  if (checkOf(list, place).equals(bytes.subarray(0, CHECK_BYTES))) return place;
  throw invalidRequest([{ pointer: '/cursor', detail: 'must be a nextCursor that this list gave before' }]);
}

const checkOf = (list: List, place: Uint8Array): Buffer =>
  createHash('sha256').update(list).update(place).digest().subarray(0, CHECK_BYTES);
