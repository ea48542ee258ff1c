import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { expect, test } from 'vitest';
import { TAGS } from '../../../../src/api/http/route-contract.js';
import { OPERATION_EXAMPLES } from '../../../../src/api/plugins/openapi/examples.js';
import { definitionOf, PROBLEM_KINDS } from '../../../../src/api/problems/problem-kinds.js';
import { projectRoot } from '../../../support/processes.js';
import { generatedFiles } from '../../../support/api/generated-documents.js';
import {
  readOpenApiDocument,
  documentedOperations,
  createSchemaValidator,
  type DocumentedOperation,
} from '../../../support/api/openapi-document.js';

const document = await readOpenApiDocument();
const operations = documentedOperations(document);
const schemaErrorsOf = createSchemaValidator(document);
const operationsById = operations.map((operation) => [operation.operationId, operation] as const);

test('the committed OpenAPI document and reference pages match the generated files', async () => {
  for (const [path, text] of Object.entries(await generatedFiles())) {
    const isSame = (await readFile(path, 'utf8').catch(() => '')) === text;
    expect(isSame, `${relative(projectRoot, path)} is outdated: run "npm run openapi"`).toBe(true);
  }
});

test('each operation has a unique id, a summary and only described tags', () => {
  const ids = operations.map(({ operationId }) => operationId);
  expect(ids.length).toBeGreaterThan(30);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operationId, spec } of operations) {
    expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(spec.summary, operationId).toBeTruthy();
    expect(Object.keys(TAGS), operationId).toEqual(expect.arrayContaining(spec.tags ?? ['none']));
  }
});

test('OPERATION_EXAMPLES has exactly one entry for each operation', () => {
  const ids = operations.map(({ operationId }) => operationId);
  const missing = ids.filter((id) => !(id in OPERATION_EXAMPLES));
  expect(
    missing,
    'add an example of these operations to src/api/plugins/openapi/examples.ts; see docs/guides/add-a-workflow.md',
  ).toEqual([]);
  expect(
    Object.keys(OPERATION_EXAMPLES).filter((id) => !ids.includes(id)),
    'remove the examples of these operations from src/api/plugins/openapi/examples.ts: no route has this operationId',
  ).toEqual([]);
});

/** Derives the error statuses that an operation must declare from its parameters, body and security. */
function impliedStatuses({ spec, parameters, body }: DocumentedOperation): number[] {
  const hasParameter = (place: string, name?: string) =>
    parameters.some((parameter) => parameter.in === place && (name === undefined || parameter.name === name));
  return [
    400,
    408,
    431,
    500,
    503,
    ...(spec['x-roles'] ? [401, 403, 429] : []),
    ...(hasParameter('header', 'webhook-id') ? [401] : []),
    ...(hasParameter('path') ? [404, 414] : []),
    ...(body ? [413, 415] : []),
    ...(hasParameter('header', 'Idempotency-Key') ? [409, 422] : []),
  ];
}

test.each(operationsById)('the document declares each error of %s as a problem', (_id, operation) => {
  const { operationId, path, responses, spec } = operation;
  const missing = impliedStatuses(operation).filter((status) => !(status in responses));
  expect(missing).toEqual([]);
  if (spec.security?.some((scheme) => 'bearer' in scheme)) expect(spec['x-roles']).not.toEqual([]);

  const isPage = path.startsWith('/approvals/');
  for (const [status, { content, headers, description }] of Object.entries(responses)) {
    expect(description, status).not.toBe('Default Response');
    expect(Object.keys(headers ?? {}), status).toContain('x-request-id');
    if (Number(status) < 400 || (operationId === 'getReadiness' && status === '503')) continue;
    expect(Object.keys(content ?? {}), status).toEqual([isPage ? 'text/html' : 'application/problem+json']);
    if (isPage) continue;
    const kinds = Object.keys(content!['application/problem+json']!.examples ?? {});
    expect(kinds.length, status).toBeGreaterThan(0);
    for (const kind of kinds) expect(definitionOf(PROBLEM_KINDS.find((known) => known === kind)!).status).toBe(+status);
  }
});

test.each(operationsById)('the document has complete and valid examples for %s', (_id, operation) => {
  const { location, parameters, body, responses } = operation;
  const wrong: string[] = [];
  for (const [index, { name, required, example }] of parameters.entries()) {
    if (example !== undefined)
      wrong.push(...schemaErrorsOf(example, [...location, 'parameters', String(index), 'schema']));
    else if (required) wrong.push(`${name} has no example`);
  }
  for (const [type, { example }] of Object.entries(body?.content ?? {})) {
    if (example !== undefined)
      wrong.push(...schemaErrorsOf(example, [...location, 'requestBody', 'content', type, 'schema']));
    else if (body?.required) wrong.push(`the body as ${type} has no example`);
  }
  const documentedResponses = Object.entries(responses)
    .filter(([status]) => Number(status) < 400)
    .flatMap(([status, { content }]) =>
      Object.entries(content ?? {}).map(([type, { example }]) => ({ status, type, example })),
    );
  for (const { status, type, example } of documentedResponses) {
    if (example !== undefined) {
      wrong.push(...schemaErrorsOf(example, [...location, 'responses', status, 'content', type, 'schema']));
    }
  }
  expect(wrong).toEqual([]);
  const isJson = documentedResponses.some(({ type }) => type === 'application/json');
  if (isJson && operation.operationId !== 'getOpenApi') {
    expect(documentedResponses.some(({ example }) => example !== undefined)).toBe(true);
  }
});

test('the problem examples of the document match the problem schema', () => {
  const shown = Object.entries(document.components?.examples ?? {}) as [string, { value: unknown }][];
  expect(shown.length).toBeGreaterThan(20);
  for (const [kind, { value }] of shown) {
    expect(schemaErrorsOf(value, ['components', 'schemas', 'Problem']), kind).toEqual([]);
  }
});
