import type { FastifyRequest } from 'fastify';
import { HttpProblem } from '../../problems/http-problem.js';
import type { BatchUploadLimits } from './limits.js';

/**
 * Fails an upload that is too slow, because an upload holds one of few slots. Ignores the time in which the server
 * itself is too slow to read.
 *
 * @param fail is called with 408 `request-timeout`.
 * @returns a function that stops the check.
 */
export function enforceMinimumSpeed(
  { raw }: FastifyRequest,
  { minBytesPerSecond, speedCheckMs }: Pick<BatchUploadLimits, 'minBytesPerSecond' | 'speedCheckMs'>,
  fail: (problem: HttpProblem) => void,
): () => void {
  const { socket } = raw;
  let bytesRead = socket.bytesRead;
  let isStopped = false;
  const check = () => {
    if (isStopped) return;
    const isServerBehind = raw.complete || raw.readableLength >= raw.readableHighWaterMark;
    const isSlow = socket.bytesRead - bytesRead < (minBytesPerSecond * speedCheckMs) / 1000;
    if (isSlow && !isServerBehind) {
      const detail = `the upload sent less than ${minBytesPerSecond} bytes per second for ${speedCheckMs / 1000} seconds`;
      fail(new HttpProblem('request-timeout', { detail, headers: { connection: 'close' } }));
    }
    bytesRead = socket.bytesRead;
  };
  // After a blocked event loop, the timer comes before the bytes that have arrived. An immediate comes after them.
  const timer = setInterval(() => setImmediate(check), speedCheckMs);
  return () => {
    isStopped = true;
    clearInterval(timer);
  };
}
