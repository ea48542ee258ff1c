import type { FastifyInstance, FastifyRequest } from 'fastify';
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

/** Makes the routes of `app` get JSON bodies as bytes, because a signature covers the bytes. */
export function keepRawJsonBodies(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/** Verifies the signature of a body with one secret. */
export interface SignatureVerifier {
  /** @throws WebhookVerificationError for an invalid signature, and other errors for a signed body that is not JSON. */
  verify(body: Buffer, headers: Record<string, string>): unknown;
}

/**
 * Reads a body that is signed with one of the secrets. Accepts repeated names and inexact numbers in fields that are
 * not in the schema.
 *
 * @throws 401 when the signature is invalid, 400 with the name of each invalid field.
 */
export function readSignedBody<T extends z.ZodObject>(
  verifiers: readonly SignatureVerifier[],
  schema: T,
  request: FastifyRequest,
): z.infer<T> {
  const { value, losses } = readSignedJson(verifiers, request);
  const lossesInSchema = losses.filter(({ pointer }) => Object.hasOwn(schema.shape, pointer.split('/')[1] ?? ''));
  if (lossesInSchema.length > 0) throw invalidRequest(lossesInSchema);
  return parseInput(schema, value);
}

/** Parses a body that is signed with one of the secrets. @throws 401 when the signature is invalid, 400 when the body is not JSON. */
export function readSignedJson(verifiers: readonly SignatureVerifier[], { body, headers }: FastifyRequest): ParsedJson {
  const bytes = (body as Buffer | undefined) ?? Buffer.alloc(0);
  let problem = 'no webhook secret is configured';
  for (const verifier of verifiers) {
    try {
      verifier.verify(bytes, headers as Record<string, string>);
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
