import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { findSignatureProblem } from '../../../slack/signature.js';
import { parseJsonBytes } from '../../http/json/json-body.js';
import { invalidRequest, unauthorized } from '../../problems/http-problem.js';

const rawBodyOf = ({ body }: FastifyRequest): Buffer => (body as Buffer | undefined) ?? Buffer.alloc(0);

/**
 * Reads the payload of an interaction, which Slack signs and sends as a form.
 *
 * @throws 401 when the signature is invalid, 400 when the body has no payload or the payload is not JSON.
 */
export function readInteraction(signingSecrets: readonly string[], request: FastifyRequest): unknown {
  const rawBody = rawBodyOf(request);
  const { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature } = request.headers;
  const problem = findSignatureProblem(signingSecrets, { timestamp, signature, rawBody }, new Date());
  if (problem !== undefined) throw unauthorized(problem);
  const payload = new URLSearchParams(rawBody.toString('utf8')).get('payload');
  if (payload === null) throw invalidRequest([{ pointer: '/payload', detail: 'is missing' }]);
  return parseJsonBytes(Buffer.from(payload)).value;
}

/** Returns a hash of the body. Slack repeats a delivery with the same body and another timestamp. */
export const hashBody = (request: FastifyRequest): string =>
  createHash('sha256').update(rawBodyOf(request)).digest('hex');
