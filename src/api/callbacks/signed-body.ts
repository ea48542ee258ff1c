import type { FastifyRequest } from 'fastify';
import type { Webhook } from 'standardwebhooks';
import { WebhookVerificationError } from 'standardwebhooks';
import type { z } from 'zod';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import { HttpProblem, invalidRequest, unauthorized } from '../problems/http-problem.js';
import type { ParsedJson } from '../http/lossless-json.js';
import { parseJsonBytes } from '../http/json-body.js';

/** Standard Webhooks sets no limit. The id is a key in the database. */
const MAX_WEBHOOK_ID_LENGTH = 255;

/** The id of the message, which a valid signature covers. @throws 400 when the database could not index it. */
export function webhookIdOf({ headers }: FastifyRequest): string {
  const id = String(headers['webhook-id']);
  if (id.length > MAX_WEBHOOK_ID_LENGTH)
    throw invalidRequest([{ pointer: '/webhook-id', detail: `must have at most ${MAX_WEBHOOK_ID_LENGTH} characters` }]);
  return id;
}

/**
 * Reads a body that one of the secrets signed. Repeated names and inexact numbers are accepted in fields that the schema
 * does not have.
 *
 * @throws 401 without a valid signature, 400 that names each invalid field.
 */
export function readSignedBody<T extends z.ZodObject>(
  webhooks: readonly Webhook[],
  schema: T,
  request: FastifyRequest,
): z.infer<T> {
  const { value, losses } = verifyBody(webhooks, request);
  const lossesInSchema = losses.filter(({ pointer }) => Object.hasOwn(schema.shape, pointer.split('/')[1] ?? ''));
  if (lossesInSchema.length > 0) throw invalidRequest(lossesInSchema);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidRequest(toInputProblems(result.error.issues));
}

function verifyBody(webhooks: readonly Webhook[], { body, headers }: FastifyRequest): ParsedJson {
  const bytes = (body as Buffer | undefined) ?? Buffer.alloc(0);
  let problem = 'no webhook secret is configured';
  for (const webhook of webhooks) {
    try {
      webhook.verify(bytes, headers as Record<string, string>);
      return parseJsonBytes(bytes);
    } catch (error) {
      if (error instanceof HttpProblem) throw error;
      // The signature is valid, so the signed text itself is not JSON.
      if (!(error instanceof WebhookVerificationError)) {
        throw invalidRequest([{ pointer: '', detail: 'the body is not JSON' }]);
      }
      problem = error.message;
    }
  }
  throw unauthorized(problem);
}
