import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { ApprovalLinks } from '../approval-links.js';
import type { Logger } from '../logger.js';
import type { Operations } from '../operations/index.js';
import type { Outgoing } from '../outgoing.js';
import type { Store } from '../store/index.js';
import { answerError, cutWhenLate, installErrorHandling, validatorCompiler } from './errors.js';
import { answerWithPage, approvalPageRoutes } from './routes/approval-pages.js';
import { approvalRoutes } from './routes/approvals.js';
import { batchRoutes } from './routes/batches.js';
import { callbackRoutes } from './routes/callbacks.js';
import { cartRoutes } from './routes/carts.js';
import { healthRoutes } from './routes/health.js';
import { orderRoutes } from './routes/orders.js';
import { productRoutes } from './routes/products.js';

/** Largest body in bytes: an order at its limits is a tenth of it, and a Temporal payload may be eight times as large. */
const BODY_LIMIT = 256 * 1024;

/** A request that is not received whole by then is cut; an upload has longer. */
const REQUEST_TIMEOUT_MS = 10_000;
const UPLOAD_TIMEOUT_MS = 24 * 60 * 60_000;

/** The token of a link has about 300 characters, at its limits about 450. */
const MAX_PARAM_LENGTH = 1_000;

/** Pages for people. What follows it in a path is a token, with which its bearer may decide. */
const PAGES = '/approvals/';

export interface AppDependencies {
  client: Client;
  store: Store;
  logger: Logger;
  /** Whoever signs with one of these is the carrier. */
  carrierWebhookSecrets: readonly string[];
  /** Whoever signs with one of these is a system that approves. */
  approvalWebhookSecrets: readonly string[];
  links: ApprovalLinks;
  outgoing: Outgoing;
  operations: Operations;
  /** Of the body of an upload in bytes, and of one of its lines in characters. */
  uploadLimits: { maxBytes: number; maxLineLength: number };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its body may take long; the route watches it itself. */
    isUpload?: true;
  }
}

/** The HTTP application, without a listener: the routes by name, one error handler. */
export function buildApp(deps: AppDependencies): FastifyInstance {
  const app = Fastify({
    loggerInstance: deps.logger.child({}, { serializers: { req: loggedRequest } }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: UPLOAD_TIMEOUT_MS,
    http: { headersTimeout: REQUEST_TIMEOUT_MS },
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // What the router itself refuses (a path that cannot be decoded) does not come to the error handlers.
    frameworkErrors: (error, request, reply) =>
      void (request.url.startsWith(PAGES) ? answerWithPage : answerError)(error, request, reply),
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    if (!request.routeOptions.config.isUpload) cutWhenLate(request, reply, REQUEST_TIMEOUT_MS);
  });
  // Streams of events would hold up the end for ever.
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  installErrorHandling(app);
  // Fastify's own parser of plain text: JSON under that name is 415, not a string that is no object.
  app.removeContentTypeParser('text/plain');

  app.register(healthRoutes, deps);
  app.register(productRoutes, { prefix: '/v1/products', ...deps });
  app.register(orderRoutes, { prefix: '/v1/orders', ...deps });
  app.register(cartRoutes, { prefix: '/v1/carts', ...deps });
  app.register(approvalRoutes, { prefix: '/v1/approvals', ...deps });
  app.register(batchRoutes, { prefix: '/v1/batches', ...deps, closing: closing.signal });
  app.register(callbackRoutes, { prefix: '/v1/callbacks', ...deps });
  app.register(approvalPageRoutes, { prefix: '/approvals', ...deps });
  return app;
}

/** A request as it is logged: no log holds a token. */
function loggedRequest({ method, url, host, ip, socket }: FastifyRequest) {
  const shown = url.startsWith('/v1/') ? url : url.replace(/(\/approvals\/+).+/is, '$1[token]');
  return { method, url: shown, host, remoteAddress: ip, remotePort: socket.remotePort };
}
