import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { OpenAPIV3, OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { withContract, TAGS, type RouteContract } from '../../http/route-contract.js';
import { mergeInputOutputSchemas } from './merge-schemas.js';
import { describeResponses, describeOperation } from './operations.js';

const TITLE = 'Workflow orchestration patterns';

/**
 * Allows the docs page to load resources only from its own origin. The default policy of the library would upgrade
 * requests to HTTPS, even if the API does not support HTTPS.
 */
const DOCS_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The version of the API contract, not of the code. A breaking change increases the first number. */
const VERSION = '1.0.0';

const DESCRIPTION = `Starts the workflows of the shop, sends them updates and signals, and reads their state.

- Errors are problem details (RFC 9457); each \`type\` is a page under [/problems](/problems).
- A repeated request with the same \`Idempotency-Key\` gets the response to the first request.
- Callers authenticate with an API key or a JWT. \`x-roles\` lists the roles that may call an operation.`;

const SECURITY_SCHEMES = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'A key whose hash is in `API_KEYS`.' },
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A JWT of `JWT_ISSUER`, or an API key.' },
  webhookSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'webhook-signature',
    description: 'Standard Webhooks: HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the raw body.',
  },
  slackSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'x-slack-signature',
    description: '`v0=` and the HMAC-SHA256 over `v0:timestamp:rawBody` in hex, with `SLACK_SIGNING_SECRET`.',
  },
  stripeSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'stripe-signature',
    description:
      '`t=` and the timestamp, and `v1=` and the HMAC-SHA256 over `timestamp.rawBody` in hex, with `STRIPE_WEBHOOK_SECRET`. The header may have several `v1`. The timestamp must be within five minutes of the current time.',
  },
} as const;

const HEADERS: Record<string, OpenAPIV3.HeaderObject> = {
  RequestId: { description: 'Identifies the request in the logs.', schema: { type: 'string', format: 'uuid' } },
  RetryAfter: { description: 'Seconds until the same request may succeed.', schema: { type: 'integer', minimum: 0 } },
  IdempotentReplayed: {
    description: 'Present if this is the stored response to the first request with this `Idempotency-Key`.',
    schema: { type: 'string', enum: ['true'] },
  },
};

/**
 * Serves the OpenAPI document at `/openapi.json` and a docs page at `/docs`. The document contains the routes that are
 * registered after this plugin.
 */
export const openApiPlugin = fp(
  async (app: FastifyInstance) => {
    const contracts = new Map<string, RouteContract>();
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: TITLE,
          version: VERSION,
          description: DESCRIPTION,
          license: { name: 'MIT', identifier: 'MIT' },
        },
        servers: [{ url: '/', description: 'The server that serves this document' }],
        tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
        components: { securitySchemes: SECURITY_SCHEMES, headers: HEADERS },
      },
      transform: (input) => describeOperation(input, contracts),
      transformObject: (input) =>
        mergeInputOutputSchemas(describeResponses(jsonSchemaTransformObject(input) as OpenAPIV3_1.Document, contracts)),
    });
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: DOCS_CSP,
      theme: { title: `${TITLE}: the API` },
      uiConfig: {
        docExpansion: 'list',
        showExtensions: true,
        displayRequestDuration: true,
        // Hides the bar that loads other documents, and the badge of an external validator.
        layout: 'BaseLayout',
        validatorUrl: null,
      },
    });
    let text: string | undefined;
    app.get(
      '/openapi.json',
      {
        ...withContract({
          operationId: 'getOpenApi',
          summary: 'Get the OpenAPI document',
          tag: 'Operations',
          access: 'public',
        }),
        schema: { response: { 200: z.looseObject({ openapi: z.string() }).describe('OpenAPI 3.1') } },
      },
      // The document does not change while the process runs, so it is built once.
      async (_request, reply) =>
        reply
          .type('application/json; charset=utf-8')
          .serializer(String)
          .send((text ??= JSON.stringify(app.swagger())) as never),
    );
  },
  { name: 'openapi' },
);
