import swagger, { type SwaggerTransform, type SwaggerTransformObject } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { OpenAPIV3, OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { contract, TAGS, type Contract } from './contract.js';
import { examples } from './examples.js';
import { problem, type Problem } from '../schemas/problem.js';
import { idempotencyKey } from '../schemas/text.js';
import { withoutTwins } from './openapi-components.js';
import { factsOf, PROBLEM_KINDS, type ProblemKind } from './problems.js';

type Operation = OpenAPIV3_1.OperationObject & { operationId: string };
type Response = OpenAPIV3_1.ResponseObject;

/** Of the contract, not of the code: the first number changes with what breaks a client. */
const VERSION = '1.0.0';

const DESCRIPTION = `Starts the workflows of the shop, sends them updates and signals, and reads what they tell.

- Errors are problem details (RFC 9457); each \`type\` is a page under [/problems](/problems).
- Whoever repeats a request under the same \`Idempotency-Key\` gets the first answer again.
- Callers are API keys or JWTs; their roles are named with each operation as \`x-roles\`.`;

const SECURITY_SCHEMES = {
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'A key whose hash is in `API_KEYS`.' },
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'A JWT of `JWT_ISSUER`, or an API key.' },
  webhookSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'webhook-signature',
    description: 'Standard Webhooks: HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and the raw body.',
  },
} as const;

const NAMED = z.object({
  'Idempotency-Key': idempotencyKey
    .optional()
    .describe('Names the request: repeated, it is answered as the first time.'),
});

const SIGNED = z.object({
  'webhook-id': z.string().describe('Names the message: repeated, it changes nothing.'),
  'webhook-timestamp': z.string().regex(/^\d+$/).describe('Seconds since the epoch, at most five minutes off.'),
});

const ref = (section: string, name: string) => ({ $ref: `#/components/${section}/${name}` });

const HEADERS: Record<string, OpenAPIV3.HeaderObject> = {
  RequestId: { description: 'Names the request in our logs.', schema: { type: 'string', format: 'uuid' } },
  RetryAfter: { description: 'Seconds until the same request may succeed.', schema: { type: 'integer', minimum: 0 } },
  IdempotentReplayed: {
    description: 'This is the first answer to a request of this name, once more.',
    schema: { type: 'string', enum: ['true'] },
  },
};

/** Each kind of problem as it may look. */
const PROBLEM_EXAMPLES = Object.fromEntries(
  PROBLEM_KINDS.map((kind) => [kind, { summary: factsOf(kind).when, value: problem.parse(exampleOf(kind)) }]),
);

function exampleOf(kind: ProblemKind): Problem {
  const { status, title } = factsOf(kind);
  return {
    ...{ type: `/problems/${kind}`, title, status, requestId: '0b9cfa6c-3d3f-4d2c-9a5e-6f3f8f0f5a11' },
    ...(kind === 'invalid-request' && {
      detail: '/customerId must be an id',
      errors: [{ pointer: '/customerId', detail: 'must be an id' }],
    }),
  };
}

/** What can go wrong with any request. */
const ALWAYS = ['malformed-request', 'request-timeout', 'headers-too-large', 'internal-error', 'overloaded'] as const;

const NEEDS = {
  temporal: ['temporal-unavailable'],
  worker: ['temporal-unavailable', 'no-worker', 'worker-busy'],
  store: ['store-unavailable'],
} as const;

/** Makes the OpenAPI document of all routes that are registered after it: `/openapi.json`, and a page at `/docs`. */
export async function installOpenApi(app: FastifyInstance): Promise<void> {
  const contracts = new Map<string, Contract>();
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Workflow orchestration patterns',
        version: VERSION,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'Where this document comes from' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: { securitySchemes: SECURITY_SCHEMES, headers: HEADERS },
    },
    transform: (input) => describeOperation(input, contracts),
    transformObject: (input) =>
      withoutTwins(describeAnswers(jsonSchemaTransformObject(input) as OpenAPIV3_1.Document, contracts)),
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    uiConfig: { docExpansion: 'list', persistAuthorization: true, displayRequestDuration: true },
  });
  app.get(
    '/openapi.json',
    {
      ...contract({
        operationId: 'getOpenApi',
        summary: 'This document',
        tag: 'Operations',
        access: 'public',
      }),
      schema: { response: { 200: z.looseObject({ openapi: z.string() }).describe('OpenAPI 3.1') } },
    },
    async () => app.swagger() as OpenAPIV3_1.Document,
  );
}

type TransformInput = Parameters<SwaggerTransform>[0];

function describeOperation(input: TransformInput, contracts: Map<string, Contract>): ReturnType<SwaggerTransform> {
  const { config } = input.route;
  const known = config?.contract;
  if (!known || known.hidden || input.route.method === 'HEAD') return { schema: { hide: true }, url: input.url };
  const { operationId, summary, description, tag, access, idempotent, bodies } = known;
  contracts.set(operationId, known);
  const parsed = Object.values(bodies ?? {}).find((body) => typeof body !== 'string');
  const schema = {
    ...input.schema,
    ...{ operationId, summary, ...(description && { description }), tags: [tag], security: securityOf(access) },
    ...(idempotent && { headers: NAMED }),
    ...(access === 'signed' && { headers: SIGNED }),
    ...(parsed && { body: parsed, consumes: Object.keys(bodies!) }),
  };
  return jsonSchemaTransform({ ...input, schema });
}

function securityOf(access: Contract['access']): OpenAPIV3_1.SecurityRequirementObject[] {
  if (Array.isArray(access)) return [{ apiKey: [] }, { bearer: [] }];
  return access === 'signed' ? [{ webhookSignature: [] }] : [];
}

function describeAnswers(document: OpenAPIV3_1.Document, contracts: Map<string, Contract>): OpenAPIV3_1.Document {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as Operation[]) {
      const known = contracts.get(operation.operationId);
      if (known) describeOutcomes(operation, known);
    }
  }
  const paths = JSON.stringify(document.paths);
  const shown = PROBLEM_KINDS.filter((kind) => paths.includes(`#/components/examples/${kind}"`));
  const examples = Object.fromEntries(shown.map((kind) => [kind, PROBLEM_EXAMPLES[kind]!]));
  return { ...document, components: { ...document.components, examples } };
}

function describeOutcomes(operation: Operation, known: Contract): void {
  const { access, bodies, headers, idempotent } = known;
  const pages = access === 'link';
  const texts = Object.entries(bodies ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (texts.length) {
    operation.requestBody = {
      required: true,
      content: Object.fromEntries(
        texts.map(([type, description]) => [type, { schema: { type: 'string', description } }]),
      ),
    };
  }
  const good = Object.entries(operation.responses ?? {}).map(
    ([status, response]) => [status, response as Response] as const,
  );
  for (const [, response] of good) {
    response.headers = {
      'x-request-id': ref('headers', 'RequestId'),
      ...(idempotent && { 'idempotent-replayed': ref('headers', 'IdempotentReplayed') }),
      ...Object.fromEntries(
        Object.entries(headers ?? {}).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
      ),
    };
  }
  const shown = examples[operation.operationId];
  if (shown) show(operation, shown, good);
  if (Array.isArray(access)) Object.assign(operation, { 'x-roles': [...access] });
  if (pages) return;
  operation.responses = { ...problemResponses(kindsOf(operation, known)), ...operation.responses };
}

/** The kinds of problems that an operation can answer with, in the order of their table. */
function kindsOf(operation: Operation, { access, needs = [], problems = [], idempotent }: Contract): ProblemKind[] {
  const parameters = (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[];
  const kinds = new Set<ProblemKind>([...ALWAYS, ...problems, ...needs.flatMap((need) => NEEDS[need])]);
  const add = (...more: ProblemKind[]) => more.forEach((kind) => kinds.add(kind));
  if (operation.requestBody) add('invalid-request', 'too-large', 'unsupported-media-type');
  if (parameters.length) add('invalid-request');
  if (parameters.some(({ in: place }) => place === 'path')) add('path-too-long', 'not-found');
  if (access === 'signed') add('unauthorized');
  if (Array.isArray(access)) {
    add('unauthorized', 'forbidden', 'too-many-requests', 'identity-provider-unavailable');
  }
  if (idempotent) add('request-in-progress', 'idempotency-key-reused', 'store-unavailable');
  return PROBLEM_KINDS.filter((kind) => kinds.has(kind));
}

function problemResponses(kinds: readonly ProblemKind[]): Record<string, Response> {
  const statuses = [...new Set(kinds.map((kind) => factsOf(kind).status))];
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      problemResponse(kinds.filter((kind) => factsOf(kind).status === status)),
    ]),
  );
}

function problemResponse(kinds: readonly ProblemKind[]): Response {
  return {
    description: kinds.map((kind) => `\`${kind}\``).join(', '),
    headers: {
      'x-request-id': ref('headers', 'RequestId'),
      ...(kinds.some((kind) => factsOf(kind).retryAfter) && { 'retry-after': ref('headers', 'RetryAfter') }),
    },
    content: {
      'application/problem+json': {
        schema: ref('schemas', 'Problem'),
        examples: Object.fromEntries(kinds.map((kind) => [kind, ref('examples', kind)])),
      },
    },
  };
}

/** Puts the example of an operation where readers and tools look for it. */
function show(operation: Operation, example: (typeof examples)[string], good: (readonly [string, Response])[]): void {
  for (const parameter of (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[]) {
    const value = example.parameters?.[parameter.name];
    if (value !== undefined) parameter.example = value;
  }
  const { content = {} } = (operation.requestBody ?? {}) as OpenAPIV3_1.RequestBodyObject;
  for (const [type, media] of Object.entries(content)) {
    const value = example.bodies?.[type] ?? example.body;
    if (value !== undefined) media.example = value;
  }
  const [, response] = good[0] ?? [];
  for (const media of Object.values(response?.content ?? {})) {
    if (example.answer !== undefined) media.example = example.answer;
  }
}
