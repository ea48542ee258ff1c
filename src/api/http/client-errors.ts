import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { toProblemBody, HttpProblem, malformedRequest } from '../problems/http-problem.js';
import { MAX_HEADER_BYTES } from '../limits.js';

/**
 * Responds to input that Node rejects before it becomes a request: invalid HTTP, or headers that are too large or too
 * late. Closes the connection.
 */
export function handleClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const problem = problemOfErrorCode(error.code);
  const body = JSON.stringify(toProblemBody(problem, requestId));
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      'content-type: application/problem+json',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function problemOfErrorCode(code: string | undefined): HttpProblem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new HttpProblem('headers-too-large', { detail: `the headers have more than ${MAX_HEADER_BYTES} bytes` });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new HttpProblem('request-timeout', { detail: 'the headers were not received in time' });
    default:
      return malformedRequest('the input is not an HTTP request');
  }
}
