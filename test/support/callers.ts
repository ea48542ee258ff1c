import { randomUUID } from 'node:crypto';
import { createApiKey } from '../../src/api/plugins/auth/api-keys.js';
import type { ApiKey, Role } from '../../src/schemas/api-key.js';
import type { Answer, Api, RequestOptions } from './api.js';
import type { Problem } from '../../src/schemas/problem.js';

/** A caller with an API key. */
export interface TestCaller {
  id: string;
  key: string;
  /** The caller's entry in the configuration. */
  entry: ApiKey;
  /** Sends a request as this caller. */
  send: <Body = Problem>(api: Api, method: string, path: string, options?: RequestOptions) => Promise<Answer<Body>>;
}

export function aCaller(roles: Role[], id = `${roles[0]}-${randomUUID().slice(0, 8)}`): TestCaller {
  const { key, hash } = createApiKey();
  return {
    id,
    key,
    entry: { id, roles, hashes: [hash] },
    send: (api, method, path, options = {}) =>
      api.request(method, path, { ...options, headers: { 'x-api-key': key, ...options.headers } }),
  };
}

interface Described {
  operationId: string;
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: Record<string, unknown> };
  'x-roles'?: Role[];
}

export interface Operation extends Described {
  method: string;
  path: string;
}

/** All operations in the OpenAPI document. */
export async function operationsOf(api: Api): Promise<Operation[]> {
  const { body } = await api.get<{ paths: Record<string, Record<string, Described>> }>('/openapi.json');
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
  );
}
