import { randomUUID } from 'node:crypto';
import { createApiKey } from '../../../src/api/plugins/auth/api-keys.js';
import type { AuthSettings } from '../../../src/api/plugins/auth/index.js';
import type { ApiKey, CallerRole } from '../../../src/schemas/api-key.js';
import type { ApiResponse, Api, RequestOptions } from './api.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';

/** A caller with an API key. */
export interface TestCaller {
  id: string;
  key: string;
  /** The header that authenticates this caller. */
  authHeader: { 'x-api-key': string };
  /** The entry for this caller in API_KEYS. */
  configEntry: ApiKey;
  /** Sends a request as this caller. */
  send: <Body = Problem>(
    api: Api,
    method: string,
    path: string,
    options?: RequestOptions,
  ) => Promise<ApiResponse<Body>>;
}

export function createCaller(roles: CallerRole[], id = `${roles[0]}-${randomUUID().slice(0, 8)}`): TestCaller {
  const { key, hash } = createApiKey();
  const authHeader = { 'x-api-key': key };
  return {
    id,
    key,
    authHeader,
    configEntry: { id, roles, hashes: [hash] },
    send: (api, method, path, options = {}) =>
      api.request(method, path, { ...options, headers: { ...authHeader, ...options.headers } }),
  };
}

/** The authentication settings of an API that knows the API keys of these callers. */
export const authOf = (...callers: TestCaller[]): AuthSettings => ({
  apiKeys: callers.map(({ configEntry }) => configEntry),
});

interface OpenApiOperation {
  operationId: string;
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: Record<string, unknown> };
  'x-roles'?: CallerRole[];
}

export interface ApiOperation extends OpenApiOperation {
  method: string;
  path: string;
}

/** Returns all operations in the OpenAPI document of the API. */
export async function fetchApiOperations(api: Api): Promise<ApiOperation[]> {
  const { body } = await api.get<{ paths: Record<string, Record<string, OpenApiOperation>> }>('/openapi.json');
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
  );
}
