import type { SwaggerTransform } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import type { OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { idempotencyKey } from '../../../schemas/shared/primitives.js';
import { requiredRoles, type RouteContract } from '../../http/route-contract.js';
import { PROBLEM_KINDS } from '../../problems/problem-kinds.js';
import { OPERATION_EXAMPLES, type Example } from './examples.js';
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
    .describe('Names the request: repeated, it is answered as the first time.'),
});

const SIGNATURE_HEADERS = z.object({
  'webhook-id': z
    .string()
    .meta({ description: 'Names the message: repeated, it changes nothing.', examples: ['msg_1001'] }),
  'webhook-timestamp': z
    .string()
    .regex(/^\d+$/)
    .meta({ description: 'Seconds since the epoch, at most five minutes off.', examples: ['1772357400'] }),
});

type TransformInput = Parameters<SwaggerTransform>[0];

/** Describes the request and the successful responses of a route, without its problems. */
export function describeOperation(
  input: TransformInput,
  contracts: Map<string, RouteContract>,
): ReturnType<SwaggerTransform> {
  const { config } = input.route;
  const known = config?.contract;
  if (!known || input.route.method === 'HEAD') return { schema: { hide: true }, url: input.url };
  const { operationId, summary, description, tag, access, idempotency, rawBodies } = known;
  contracts.set(operationId, known);
  const parsed = Object.values(rawBodies ?? {}).find((body) => typeof body !== 'string');
  const schema = {
    ...input.schema,
    operationId,
    summary,
    ...(description && { description }),
    tags: [tag],
    security: securityOf(known),
    ...(idempotency && { headers: IDEMPOTENCY_HEADERS }),
    ...(access === 'signed' && { headers: SIGNATURE_HEADERS }),
    ...(parsed && { body: parsed, consumes: Object.keys(rawBodies!) }),
  };
  return jsonSchemaTransform({ ...input, schema });
}

function securityOf(contract: RouteContract): OpenAPIV3_1.SecurityRequirementObject[] {
  if (requiredRoles(contract)) return [{ apiKey: [] }, { bearer: [] }];
  return contract.access === 'signed' ? [{ webhookSignature: [] }] : [];
}

/** Adds what the contract of each operation implies: response headers, problems and an example. */
export function describeResponses(
  document: OpenAPIV3_1.Document,
  contracts: Map<string, RouteContract>,
): OpenAPIV3_1.Document {
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as Operation[]) {
      const known = contracts.get(operation.operationId);
      if (known) describeOperationResponses(operation, known, document.components?.schemas ?? {});
    }
  }
  const paths = JSON.stringify(document.paths);
  const shown = PROBLEM_KINDS.filter((kind) => paths.includes(`#/components/examples/${kind}"`));
  const examples = Object.fromEntries(shown.map((kind) => [kind, PROBLEM_EXAMPLES[kind]!]));
  return { ...document, components: { ...document.components, examples } };
}

function describeOperationResponses(operation: Operation, known: RouteContract, schemas: SchemaDescriptions): void {
  const { access, rawBodies, headers, idempotency } = known;
  const pages = access === 'link' || access === 'page';
  const texts = Object.entries(rawBodies ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  if (texts.length) {
    operation.requestBody = {
      required: true,
      content: Object.fromEntries(
        texts.map(([type, description]) => [type, { schema: { type: 'string', description } }]),
      ),
    };
  }
  const { requestBody } = operation;
  if (requestBody && 'content' in requestBody && isOptionalBody(requestBody)) requestBody.required = false;
  for (const [status, response] of Object.entries(operation.responses ?? {}) as [string, Response][]) {
    const isGood = Number(status) < 400;
    const isRedirect = isGood && Number(status) >= 300;
    const told = { ...(isRedirect && { location: 'Where it goes on.' }), ...(isGood && headers) };
    response.description = descriptionOf(response, schemas);
    response.headers = {
      'x-request-id': componentRef('headers', 'RequestId'),
      ...(idempotency && isGood && { 'idempotent-replayed': componentRef('headers', 'IdempotentReplayed') }),
      ...Object.fromEntries(
        Object.entries(told).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
      ),
    };
    if (isRedirect) delete response.content;
  }
  const shown = OPERATION_EXAMPLES[operation.operationId];
  if (shown) addExample(operation, shown);
  const roles = requiredRoles(known);
  if (roles) Object.assign(operation, { 'x-roles': [...roles] });
  if (pages) return;
  operation.responses = { ...problemResponses(problemKindsOf(operation, known)), ...operation.responses };
}

/** Whether the body may be omitted: an omitted body is validated as `null`. */
const isOptionalBody = ({ content }: OpenAPIV3_1.RequestBodyObject): boolean =>
  Object.values(content).every(({ schema = {} }) => 'anyOf' in schema && schema.anyOf?.some(isNullSchema));

const isNullSchema = (schema: object) => 'type' in schema && schema.type === 'null';

/** The description of a response, taken from its schema. */
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
  for (const media of Object.values(response?.content ?? {})) {
    if (example.response !== undefined) media.example = example.response;
  }
}
