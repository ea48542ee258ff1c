import type { z } from 'zod';
import { CALLER_ROLES, type CallerRole } from '../../schemas/api-key.js';
import type { ProblemKind } from '../problems/problem-kinds.js';

/**
 * Who may call a route: callers with one of the roles, the sender of a signed body (`signed`), the holder of a link
 * (`link`), or every caller (`public`, `page`). A `page` route knows the caller of a session. `link` and `page` routes
 * respond only with HTML pages, including errors.
 */
export type Access = readonly CallerRole[] | 'signed' | 'link' | 'page' | 'public';

export const TAGS = {
  Orders: 'Saga: each step has a compensation.',
  Carts: 'Entity: one workflow from the first item of a cart to its checkout or expiry.',
  Approvals: 'Callback: a person or a system decides, or the request times out.',
  Batches: 'Fan-out and fan-in: millions of items in one upload.',
  Callbacks:
    'Reports of external systems, signed as [Standard Webhooks](https://www.standardwebhooks.com), and signed interactions of Slack and events of Stripe.',
  Products: 'The product catalogue.',
  Console: 'The web pages. Not part of the OpenAPI document.',
  Payloads: 'The codec for the Temporal Web UI and CLI. Available only if payloads are encrypted.',
  Operations: 'Liveness, readiness, problem kinds and the OpenAPI document.',
} as const;

/**
 * The contract of a route in addition to its schemas. The OpenAPI document is generated from the contract and the
 * schemas.
 */
export interface RouteContract {
  operationId: string;
  summary: string;
  description?: string;
  tag: keyof typeof TAGS;
  access: Access;
  /** How a `signed` body is signed. By default, as a Standard Webhook. */
  signature?: 'slack' | 'stripe';
  /** The dependencies of the route, which can be unavailable. `worker` implies `temporal`. */
  dependencies?: readonly ('temporal' | 'worker' | 'store')[];
  /** Problems in addition to the problems that follow from `dependencies`, `access` and the schemas. */
  problems?: readonly ProblemKind[];
  /** The route also accepts the session cookie of a browser, from pages of the codec or of the console. */
  acceptsSession?: 'codec' | 'console';
  /**
   * The route accepts an `Idempotency-Key`. For an `upload`, the content is known only after the whole body has been
   * read.
   */
  idempotency?: true | 'upload';
  /** Whether requests may change state and are logged as actions. By default, all methods except GET and HEAD do. */
  changesState?: boolean;
  /** Headers of a successful response, with their descriptions. */
  headers?: Record<string, string>;
  /** Bodies that the route parses itself: the schema for JSON, a description for text. */
  rawBodies?: Record<string, z.ZodType | string>;
  /** The route accepts bodies with `Content-Encoding: gzip`. */
  acceptsGzip?: true;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    contract?: RouteContract;
  }
}

/** The access of a route that every caller with a role may call. */
export const ALL_ROLES = CALLER_ROLES;

/** The roles that may call a route. A caller needs one of them. Undefined for a route that does not check roles. */
export const requiredRoles = (contract: RouteContract | undefined): readonly CallerRole[] | undefined =>
  typeof contract?.access === 'object' ? contract.access : undefined;

/** Returns route options with the contract, to spread into the options of a route. */
export const withContract = (contract: RouteContract) => ({ config: { contract } });
