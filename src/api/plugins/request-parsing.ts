import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import fp from 'fastify-plugin';
import type { z } from 'zod';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import { parseJsonBytes } from '../http/json/json-body.js';
import { invalidRequest, unsupportedMediaType } from '../problems/http-problem.js';

/**
 * Parses JSON bodies strictly, and validates parameters and bodies with zod. The JSON parser rejects a body that repeats a name inside an object, or has a number that
 * JavaScript cannot represent exactly. The value of an empty body is undefined.
 */
export const requestParsingPlugin = fp(
  async (app: FastifyInstance) => {
    app.setValidatorCompiler(validatorCompiler);
    // Rejects a compressed body with 415. Otherwise the parser would reject the body because it is not UTF-8.
    app.addHook('preParsing', async (request) => {
      if (!request.is404 && !request.routeOptions.config.contract?.acceptsGzip && isCompressed(request.headers))
        throw unsupportedMediaType(request);
    });
    // Without the parser of Fastify, a `text/plain` body gets a 415 instead of being accepted as a string.
    app.removeContentTypeParser(['application/json', 'text/plain']);
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => {
      try {
        const { value, losses } = parseJsonBytes(bytes as Buffer);
        if (losses.length > 0) throw invalidRequest(losses);
        done(null, value);
      } catch (error) {
        done(error as Error);
      }
    });
  },
  { name: 'request-parsing' },
);

const isCompressed = (headers: IncomingHttpHeaders): boolean =>
  (headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity';

/** Parses parameters and bodies with zod. The problem names each invalid field by its JSON pointer. */
const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? { value: parsed.data } : { error: invalidRequest(toInputProblems(parsed.error.issues)) };
  };
