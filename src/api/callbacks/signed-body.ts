import type { FastifyRequest } from 'fastify';
import type { Webhook } from 'standardwebhooks';
import { WebhookVerificationError } from 'standardwebhooks';
import type { z } from 'zod';
import { HttpProblem, invalidRequest, unauthorized } from '../problems/http-problem.js';
import type { ParsedJson } from '../http/json/lossless-json.js';
import { parseJsonBytes } from '../http/json/json-body.js';
import { parseInput } from '../http/parse-input.js';

/** Maximum length of a `webhook-id`, which is a key in the database. Standard Webhooks sets no limit. */
const MAX_WEBHOOK_ID_LENGTH = 255;

/**
 * The id of a message. The signature of the message covers the id. @throws 400 when the id is too long for the
 * database.
 */
export function webhookIdOf({ headers }: FastifyRequest): string {
  const id = String(headers['webhook-id']);
  if (id.length > MAX_WEBHOOK_ID_LENGTH)
    throw invalidRequest([{ pointer: '/webhook-id', detail: `must have at most ${MAX_WEBHOOK_ID_LENGTH} characters` }]);
  return id;
}

/**
 * Reads a body that is signed with one of the secrets. Accepts repeated names and inexact numbers in fields that are
 * not in the schema.
 *
 * @throws 401 when the signature is invalid, 400 with the name of each invalid field.
 */
export function readSignedBody<T extends z.ZodObject>(
  webhooks: readonly Webhook[],
  schema: T,
  request: FastifyRequest,
): z.infer<T> {
  const { value, losses } = verifyBody(webhooks, request);
  const lossesInSchema = losses.filter(({ pointer }) => Object.hasOwn(schema.shape, pointer.split('/')[1] ?? ''));
  if (lossesInSchema.length > 0) throw invalidRequest(lossesInSchema);
  return parseInput(schema, value);
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
      // The signature is valid, so this error means that the signed body is not JSON.
      if (!(error instanceof WebhookVerificationError)) {
        throw invalidRequest([{ pointer: '', detail: 'the body is not JSON' }]);
      }
      problem = error.message;
    }
  }
  throw unauthorized(problem);
}
