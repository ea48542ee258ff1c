import type { FastifyInstance, RouteOptions } from 'fastify';
import type { z } from 'zod';
import { ROLES, type Role } from '../../schemas/api-key.js';
import type { ProblemKind } from './problems.js';

/**
 * Who may call a route: callers with one of the roles, whoever signed the body, whoever holds the link, or everybody; on a
 * page that asks who he is, everybody as well. Links and pages answer with pages, errors too.
 */
export type Access = readonly Role[] | 'signed' | 'link' | 'page' | 'public';

export const TAGS = {
  Orders: 'The saga: each step with its compensation.',
  Carts: 'The entity: one workflow for the whole life of a cart.',
  Approvals: 'The callback: somebody decides, or nobody does in time.',
  Batches: 'Fan-out and fan-in: a million items in one upload.',
  Callbacks: 'What outside systems report, signed as [Standard Webhooks](https://www.standardwebhooks.com).',
  Products: 'The catalogue.',
  Payloads: 'The codec of the Temporal Web UI and CLI. It is there when payloads are encrypted.',
  Operations: 'Is it alive, is it ready, and what can it do.',
} as const;

/** What is promised of a route beside its schemas. The OpenAPI document is made of both. */
export interface Contract {
  operationId: string;
  summary: string;
  description?: string;
  tag: keyof typeof TAGS;
  access: Access;
  /** What it asks, and so what can be away. A worker is reached through Temporal. */
  needs?: readonly ('temporal' | 'worker' | 'store')[];
  /** What can go wrong beside what its needs, its access and its schemas make possible. */
  problems?: readonly ProblemKind[];
  /** A session of the codec's page lets in as well. */
  session?: true;
  /** It takes an `Idempotency-Key`. `upload`: its content is known only once all of it was read. */
  idempotent?: true | 'upload';
  /** Headers of a good answer, by what they tell. */
  headers?: Record<string, string>;
  /** Bodies that the route parses itself: the schema of JSON, or what a text is. */
  bodies?: Record<string, z.ZodType | string>;
  /** It takes bodies with `Content-Encoding: gzip`. */
  compressed?: true;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    contract?: Contract;
  }
}

/** Whoever has a role. */
export const ANY_ROLE = ROLES;

/** The roles of which a caller needs one; undefined where it is not roles that let him in. */
export const rolesOf = (contract: Contract | undefined): readonly Role[] | undefined =>
  typeof contract?.access === 'object' ? contract.access : undefined;

/** To be spread into the options of a route. */
export const contract = (contract: Contract) => ({ config: { contract } });

/** Pages of libraries, which have no contract of ours. They are public. */
const FOREIGN = /^\/docs(\/|$)/;

/** Makes sure that no route comes in without a contract, and so none without a rule of who may call it. */
export function requireContracts(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config }: RouteOptions) => {
    if (config?.contract ?? (method === 'OPTIONS' || FOREIGN.test(url))) return;
    throw new Error(`${String(method)} ${url} has no contract: nobody could tell who may call it`);
  });
}
