import type { FastifyRequest } from 'fastify';

/** An upload that is slower than this over `SPEED_CHECK_INTERVAL_MS` is cut. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SPEED_CHECK_INTERVAL_MS = 30_000;

/**
 * Closes the connection of an upload that is too slow while the server waits for its data, because the upload holds one
 * of few slots and a database transaction.
 *
 * @returns a function that ends the check.
 */
export function enforceMinimumSpeed({ raw }: FastifyRequest): () => void {
  const { socket } = raw;
  let bytesRead = socket.bytesRead;
  const timer = setInterval(() => {
    const isServerBehind = raw.complete || raw.readableLength >= raw.readableHighWaterMark;
    const isSlow = socket.bytesRead - bytesRead < (MIN_BYTES_PER_SECOND * SPEED_CHECK_INTERVAL_MS) / 1000;
    if (isSlow && !isServerBehind) socket.destroy();
    bytesRead = socket.bytesRead;
  }, SPEED_CHECK_INTERVAL_MS);
  return () => clearInterval(timer);
}
