/** A place in a list as clients carry it: opaque, and safe in a URL. */
export const encodeCursor = (place: Uint8Array): string => Buffer.from(place).toString('base64url');

export const decodeCursor = (cursor: string): Buffer => Buffer.from(cursor, 'base64url');
