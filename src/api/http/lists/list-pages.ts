import type { Cursors, ListName } from './cursors.js';

export interface PageRequest {
  limit: number;
  /** The position where the previous page ended; absent for the first page. */
  position?: string;
}

export interface Page<T> {
  items: T[];
  /** The position where the next page starts; absent on the last page. */
  nextPosition?: string;
}

/** Returns the position after a full page. A page that is not full is the last page, so it has no next position. */
export function nextPositionAfter<Row>(
  rows: readonly Row[],
  { limit }: PageRequest,
  positionOf: (row: Row) => string,
): { nextPosition?: string } {
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return last === undefined ? {} : { nextPosition: positionOf(last) };
}

interface ListRequest<T> {
  list: ListName;
  /** The cursor for the next page is valid only with the same filter. */
  filter: object;
  query: { limit: number; cursor?: string | undefined };
  read: (page: PageRequest) => Promise<Page<T>>;
}

/** Reads a page of a list, and adds a signed cursor for the next page. @throws 400 for a cursor of another list. */
export async function readListPage<T>(
  { encode, decode }: Cursors,
  { list, filter, query: { limit, cursor }, read }: ListRequest<T>,
): Promise<{ items: T[]; nextCursor?: string }> {
  const position = cursor && decode(list, filter, cursor).toString();
  const { items, nextPosition } = await read({ limit, ...(position && { position }) });
  return { items, ...(nextPosition && { nextCursor: encode(list, filter, Buffer.from(nextPosition)) }) };
}
