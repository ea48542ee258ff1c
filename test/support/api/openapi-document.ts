import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenAPIV3_1 } from 'openapi-types';

export type Parameter = OpenAPIV3_1.ParameterObject;
export type ResponseObject = OpenAPIV3_1.ResponseObject;
type Reference = OpenAPIV3_1.ReferenceObject;

/** An operation of the OpenAPI document, with its method and path. */
export interface DocumentedOperation {
  operationId: string;
  method: string;
  path: string;
  location: readonly string[];
  spec: OpenAPIV3_1.OperationObject & { 'x-roles'?: string[] };
  parameters: Parameter[];
  body: OpenAPIV3_1.RequestBodyObject | undefined;
  responses: Record<string, ResponseObject>;
}

/** The committed document. */
export async function readOpenApiDocument(): Promise<OpenAPIV3_1.Document> {
  return JSON.parse(await readFile('openapi.json', 'utf8')) as OpenAPIV3_1.Document;
}

export function documentedOperations(document: OpenAPIV3_1.Document): DocumentedOperation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item as Record<string, DocumentedOperation['spec']>).map(([method, spec]) => ({
      operationId: spec.operationId ?? '',
      method: method.toUpperCase(),
      path,
      spec,
      location: ['paths', path, method],
      parameters: (spec.parameters ?? []) as Parameter[],
      body: spec.requestBody as DocumentedOperation['body'],
      responses: Object.fromEntries(
        Object.entries(spec.responses ?? {}).map(([status, response]) => [status, resolveResponse(document, response)]),
      ),
    })),
  );
}

function resolveResponse(document: OpenAPIV3_1.Document, response: ResponseObject | Reference): ResponseObject {
  if (!('$ref' in response)) return response;
  return document.components?.responses?.[response.$ref.replace('#/components/responses/', '')] as ResponseObject;
}

/**
 * Returns a function that validates a value against the schema at a location in the document. The location is a list of
 * keys. The function returns the errors.
 */
export function createSchemaValidator(
  document: OpenAPIV3_1.Document,
): (value: unknown, at: readonly string[]) => string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'openapi.json');
  return (value, at) => {
    const pointer = at.map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
    const validate = ajv.compile({ $ref: `openapi.json#${pointer}` });
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${at.join(' ')}: ${instancePath} ${message}`);
  };
}
