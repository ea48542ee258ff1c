import type { FastifyRequest } from 'fastify';

/** If an upload is slower than this during one `SPEED_CHECK_INTERVAL_MS`, the API closes its connection. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SPEED_CHECK_INTERVAL_MS = 30_000;

/**
 * Closes the connection of an upload that is too slow, because an upload holds one of few slots and a database
 * transaction. Ignores the time in which the server itself is too slow to read.
 *
 * @returns a function that stops the check.
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
