import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { malformedRequest, type HttpProblem } from '../../problems/http-problem.js';

/**
 * Decompresses a gzip body only as fast as the consumer reads, so that memory use stays small for large bodies. Does
 * not destroy the compressed body, because the API may still have to respond to the request.
 */
export function decompress(body: Readable): { decompressed: Readable; close: () => void } {
  const gunzip = createGunzip();
  // Prevents an unhandled `error` event, which would end the process. A reader that starts later still gets the error.
  gunzip.on('error', () => undefined);
  const fail = (error?: Error) =>
    void gunzip.destroy(error ?? new Error('the connection closed before the body ended'));
  const onClose = () => (body.readableEnded ? undefined : fail());
  body.once('error', fail).once('close', onClose).pipe(gunzip);
  return {
    decompressed: gunzip,
    close() {
      body.off('error', fail).off('close', onClose).unpipe(gunzip);
      gunzip.destroy();
    },
  };
}

/** Maps zlib errors, whose codes start with `Z_`, to a 400; undefined for other errors. */
export function gzipProblem(error: unknown): HttpProblem | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code?.startsWith('Z_') ? malformedRequest('the body is not valid gzip, or is incomplete') : undefined;
}
