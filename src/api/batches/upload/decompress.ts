import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { malformedRequest, type HttpProblem } from '../../problems/http-problem.js';

/**
 * Decompresses a gzip body no faster than it is read, so that memory use stays small, however large the body becomes.
 * The compressed body is not destroyed, because its request may still need a response.
 */
export function decompress(body: Readable): { decompressed: Readable; close: () => void } {
  const gunzip = createGunzip();
  // The reader gets the error even if it starts to read later. Without a listener, the error would end the process.
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
