import { PassThrough, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { malformedRequest, type HttpProblem } from '../../problems/http-problem.js';

/**
 * Reads a body, which can be gzip, only as fast as the consumer reads, so that memory use stays small for large bodies.
 * Does not destroy the body, because the API may still have to respond to the request.
 */
export function readBody(
  body: Readable,
  { isGzip }: { isGzip: boolean },
): { content: Readable; fail: (error: Error) => void; close: () => void } {
  const content = isGzip ? createGunzip() : new PassThrough();
  // Prevents an unhandled `error` event, which would end the process. A reader that starts later still gets the error.
  content.on('error', () => undefined);
  const fail = (error?: Error) =>
    void content.destroy(error ?? new Error('the connection closed before the body ended'));
  const onClose = () => (body.readableEnded ? undefined : fail());
  body.once('error', fail).once('close', onClose).pipe(content);
  return {
    content,
    fail,
    close() {
      body.off('error', fail).off('close', onClose).unpipe(content);
      content.destroy();
    },
  };
}

/** Maps zlib errors, whose codes start with `Z_`, to a 400; undefined for other errors. */
export function gzipProblem(error: unknown): HttpProblem | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code?.startsWith('Z_') ? malformedRequest('the body is not valid gzip, or is incomplete') : undefined;
}
