import type { OpenAPIV3_1 } from 'openapi-types';
import { problem, type Problem } from '../../../schemas/shared/problem.js';
import { requiredRoles, type RouteContract } from '../../http/route-contract.js';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../../problems/problem-kinds.js';

export type Operation = OpenAPIV3_1.OperationObject & { operationId: string };
export type Response = OpenAPIV3_1.ResponseObject;

/** Returns a reference to a component of the OpenAPI document. */
export const componentRef = (section: string, name: string) => ({ $ref: `#/components/${section}/${name}` });

/** An example of each kind of problem. */
export const PROBLEM_EXAMPLES = Object.fromEntries(
  PROBLEM_KINDS.map((kind) => [kind, { summary: definitionOf(kind).when, value: problem.parse(problemExample(kind)) }]),
);

function problemExample(kind: ProblemKind): Problem {
  const { status, title } = definitionOf(kind);
  return {
    type: `/problems/${kind}`,
    title,
    status,
    requestId: '0b9cfa6c-3d3f-4d2c-9a5e-6f3f8f0f5a11',
    ...(kind === 'invalid-request' && {
      detail: '/customerId must be an id',
      errors: [{ pointer: '/customerId', detail: 'must be an id' }],
    }),
  };
}

/** Problems that every request can cause. */
const COMMON_KINDS = [
  'malformed-request',
  'request-timeout',
  'headers-too-large',
  'internal-error',
  'overloaded',
] as const;

const KINDS_BY_DEPENDENCY = {
  temporal: ['temporal-unavailable'],
  worker: [
    'temporal-unavailable',
    'no-worker',
    'workflow-paused',
    'non-determinism',
    'workflow-task-failed',
    'worker-busy',
  ],
  store: ['store-unavailable'],
} as const;

const isPathParameter = ({ in: location }: OpenAPIV3_1.ParameterObject): boolean => location === 'path';

/** The kinds of problems that an operation can return, in the order of `PROBLEM_KINDS`. */
export function problemKindsOf(operation: Operation, contract: RouteContract): ProblemKind[] {
  const { access, dependencies = [], problems = [], idempotency } = contract;
  const parameters = (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[];
  const kinds = new Set<ProblemKind>([
    ...COMMON_KINDS,
    ...problems,
    ...dependencies.flatMap((dependency) => KINDS_BY_DEPENDENCY[dependency]),
  ]);
  const add = (...more: ProblemKind[]) => more.forEach((kind) => kinds.add(kind));
  const namesResource = operation.requestBody !== undefined || parameters.some(isPathParameter);
  if (namesResource && dependencies.some((dependency) => dependency !== 'store')) add('wrong-workflow-type');
  if (operation.requestBody) add('invalid-request', 'too-large', 'unsupported-media-type');
  if (parameters.length) add('invalid-request');
  if (parameters.some(isPathParameter)) add('path-too-long', 'not-found');
  if (access === 'signed') add('unauthorized');
  else add('too-many-requests');
  if (requiredRoles(contract)) add('unauthorized', 'forbidden', 'identity-provider-unavailable');
  if (idempotency) add('request-in-progress', 'idempotency-key-reused', 'too-large', 'unsupported-media-type');
  return PROBLEM_KINDS.filter((kind) => kinds.has(kind));
}

/**
 * The error responses of an operation, by status: references to components, because most operations share them. Adds the
 * components to `components`.
 */
export function problemResponses(
  kinds: readonly ProblemKind[],
  components: Record<string, Response>,
): Record<string, OpenAPIV3_1.ReferenceObject> {
  const statuses = [...new Set(kinds.map((kind) => definitionOf(kind).status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const ofStatus = kinds.filter((kind) => definitionOf(kind).status === status);
      const name = ofStatus.join('.');
      components[name] ??= problemResponse(ofStatus);
      return [String(status), componentRef('responses', name)];
    }),
  );
}

function problemResponse(kinds: readonly ProblemKind[]): Response {
  return {
    description: kinds.map((kind) => `\`${kind}\``).join(', '),
    headers: {
      'x-request-id': componentRef('headers', 'RequestId'),
      ...(kinds.some((kind) => definitionOf(kind).retryAfter) && {
        'retry-after': componentRef('headers', 'RetryAfter'),
      }),
    },
    content: {
      'application/problem+json': {
        schema: componentRef('schemas', 'Problem'),
        examples: Object.fromEntries(kinds.map((kind) => [kind, componentRef('examples', kind)])),
      },
    },
  };
}
