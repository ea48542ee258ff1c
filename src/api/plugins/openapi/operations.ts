import type { SwaggerTransform } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { idempotencyKey } from '../../../schemas/shared/primitives.js';
import { requiredRoles, type RouteContract } from '../../http/route-contract.js';
import { PROBLEM_KINDS } from '../../problems/problem-kinds.js';
import type { Example } from './example.js';
import { OPERATION_EXAMPLES } from './examples.js';
import {
  problemKindsOf,
  PROBLEM_EXAMPLES,
  problemResponses,
  componentRef,
  type Operation,
  type Response,
} from './problem-responses.js';

type SchemaDescriptions = Record<string, { description?: string }>;

const IDEMPOTENCY_HEADERS = z.object({
  'Idempotency-Key': idempotencyKey
    .optional()
    .describe('Identifies the request. A repetition gets the response to the first request.'),
});

const SIGNATURE_HEADERS = z.object({
  'webhook-id': z
    .string()
    .meta({ description: 'Identifies the message. A repetition has no effect.', examples: ['msg_1001'] }),
  'webhook-timestamp': z
    .string()
    .regex(/^\d+$/)
    .meta({
      description: 'Seconds since the Unix epoch. Must be within five minutes of the current time.',
      examples: ['1772357400'],
    }),
});

const SLACK_SIGNATURE_HEADERS = z.object({
  'x-slack-request-timestamp': z
    .string()
    .regex(/^\d+$/)
    .meta({
      description: 'Seconds since the Unix epoch. Must be within five minutes of the current time.',
      examples: ['1772357400'],
    }),
});

type TransformInput = Parameters<SwaggerTransform>[0];

/** Describes the request and the successful responses of a route, without its problems. */
export function describeOperation(
  input: TransformInput,
  contracts: Map<string, RouteContract>,
): ReturnType<SwaggerTransform> {
  const { config } = input.route;
  const contract = config?.contract;
  if (!contract || contract.tag === 'Console' || input.route.method === 'HEAD')
    return { schema: { hide: true }, url: input.url };
  const { operationId, summary, description, tag, access, signature, idempotency, rawBodies } = contract;
  contracts.set(operationId, contract);
  const parsedBody = Object.values(rawBodies ?? {}).find((body) => typeof body !== 'string');
  const schema = {
    ...input.schema,
    operationId,
    summary,
    ...(description && { description }),
    tags: [tag],
    security: securityOf(contract),
    ...(idempotency && { headers: IDEMPOTENCY_HEADERS }),
    ...(access === 'signed' && signedHeaders(signature)),
    ...(parsedBody && { body: parsedBody, consumes: Object.keys(rawBodies!) }),
  };
  return jsonSchemaTransform({ ...input, schema });
}

function securityOf(contract: RouteContract): OpenAPIV3_1.SecurityRequirementObject[] {
  if (requiredRoles(contract)) return [{ apiKey: [] }, { bearer: [] }];
  if (contract.access !== 'signed') return [];
  if (contract.signature === 'stripe') return [{ stripeSignature: [] }];
  return contract.signature === 'slack' ? [{ slackSignature: [] }] : [{ webhookSignature: [] }];
}

/** The headers of a signature in addition to the header of the security scheme. Stripe has none. */
function signedHeaders(signature: RouteContract['signature']) {
  if (signature === 'stripe') return {};
  return { headers: signature === 'slack' ? SLACK_SIGNATURE_HEADERS : SIGNATURE_HEADERS };
}

/** Adds response headers, problems and an example to each operation, according to its contract. */
export function describeResponses(
  document: OpenAPIV3_1.Document,
  contracts: Map<string, RouteContract>,
): OpenAPIV3_1.Document {
  const responses: Record<string, Response> = {};
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as Operation[]) {
      const contract = contracts.get(operation.operationId);
      if (!contract) continue;
      describeSuccess(operation, contract, document.components?.schemas ?? {});
      if (contract.access === 'link') continue;
      const problems = problemResponses(problemKindsOf(operation, contract), responses);
      operation.responses = { ...problems, ...operation.responses };
    }
  }
  const referencedKinds = PROBLEM_KINDS.filter((kind) =>
    Object.keys(responses).some((name) => name.split('.').includes(kind)),
  );
  const examples = Object.fromEntries(referencedKinds.map((kind) => [kind, PROBLEM_EXAMPLES[kind]!]));
  return { ...document, components: { ...document.components, responses, examples } };
}

/** Describes the request body, the headers and the example of an operation. */
function describeSuccess(operation: Operation, contract: RouteContract, schemas: SchemaDescriptions): void {
  const { rawBodies, headers, idempotency } = contract;
  const textBodies = Object.entries(rawBodies ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  if (textBodies.length) {
    operation.requestBody = {
      required: true,
      content: Object.fromEntries(
        textBodies.map(([type, description]) => [type, { schema: { type: 'string', description } }]),
      ),
    };
  }
  const { requestBody } = operation;
  if (requestBody && 'content' in requestBody && isOptionalBody(requestBody)) requestBody.required = false;
  for (const [status, response] of Object.entries(operation.responses ?? {}) as [string, Response][]) {
    const isSuccess = Number(status) < 400;
    const isRedirect = isSuccess && Number(status) >= 300;
    const headerTexts = { ...(isRedirect && { location: 'The target of the redirect.' }), ...(isSuccess && headers) };
    response.description = descriptionOf(response, schemas);
    response.headers = {
      'x-request-id': componentRef('headers', 'RequestId'),
      ...(idempotency && isSuccess && { 'idempotent-replayed': componentRef('headers', 'IdempotentReplayed') }),
      ...Object.fromEntries(
        Object.entries(headerTexts).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
      ),
    };
    if (isRedirect) delete response.content;
  }
  const example = OPERATION_EXAMPLES[operation.operationId];
  if (example) addExample(operation, example);
  const roles = requiredRoles(contract);
  if (roles) Object.assign(operation, { 'x-roles': [...roles] });
}

/** Whether the body may be omitted. The API validates a missing body as `null`, so the schema must accept `null`. */
const isOptionalBody = ({ content }: OpenAPIV3_1.RequestBodyObject): boolean =>
  Object.values(content).every(({ schema = {} }) => 'anyOf' in schema && schema.anyOf?.some(isNullSchema));

const isNullSchema = (schema: object) => 'type' in schema && schema.type === 'null';

/** Returns the description of a response from its schema. */
function descriptionOf({ description, content = {} }: Response, schemas: SchemaDescriptions): string {
  const schema = Object.values(content)[0]?.schema;
  const named = schema && '$ref' in schema ? schemas[schema.$ref.replace(/.*\//, '')] : schema;
  return named?.description ?? description;
}

/** Adds the example of an operation to its parameters, request body and response. */
function addExample(operation: Operation, example: Example): void {
  const values: Example['parameters'] = {
    'Idempotency-Key': `0b1f7a52-${operation.operationId}`,
    ...example.parameters,
  };
  for (const parameter of (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[]) {
    const value = values[parameter.name];
    if (value !== undefined) parameter.example = value;
  }
  const { content = {} } = (operation.requestBody ?? {}) as OpenAPIV3_1.RequestBodyObject;
  for (const [type, media] of Object.entries(content)) {
    const value = example.bodies?.[type] ?? example.body;
    if (value !== undefined) media.example = value;
  }
  const [status = ''] = Object.keys(operation.responses ?? {});
  const response = operation.responses?.[example.status ?? status] as Response | undefined;
  for (const [type, media] of Object.entries(response?.content ?? {})) {
    const value = example.responses?.[type] ?? example.response;
    if (value !== undefined) media.example = value;
  }
}
