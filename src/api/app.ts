import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { ApprovalLinks } from '../approval-links/links.js';
import type { Logger } from '../observability/logger.js';
import type { HttpMetrics } from '../observability/metrics/http.js';
import type { Operations } from '../batch-operations/index.js';
import type { Outgoing } from '../http-client/outgoing.js';
import type { Store } from '../store/index.js';
import { installAuth, type AuthSettings } from './plugins/auth/index.js';
import type { CodecSessions } from './plugins/auth/sessions.js';
import { answerClientError } from './plugins/client-errors.js';
import { requireContracts } from './plugins/contract.js';
import type { Cursors } from './plugins/cursor.js';
import {
  answerError,
  cutWhenLate,
  discardRest,
  installErrorHandling,
  malformedRequest,
  validatorCompiler,
} from './plugins/errors.js';
import { installIdempotency } from './plugins/idempotency.js';
import {
  BODY_LIMIT,
  HANDLER_TIMEOUT_MS,
  MAX_HEADER_BYTES,
  MAX_PARAM_LENGTH,
  REQUEST_TIMEOUT_MS,
  UPLOAD_TIMEOUT_MS,
} from './plugins/limits.js';
import { installOpenApi } from './plugins/openapi/index.js';
import { CODEC, installJsonParser, installProtection, type ProtectionSettings } from './plugins/protection.js';
import { answerWithPage, approvalPageRoutes } from './approvals/page-routes.js';
import { approvalRoutes } from './approvals/routes.js';
import { batchRoutes } from './batches/routes.js';
import { callbackRoutes } from './callbacks/routes.js';
import { cartRoutes } from './carts/routes.js';
import { codecSessionRoutes } from './codec/session-routes.js';
import { codecRoutes } from './codec/routes.js';
import { healthRoutes } from './health/routes.js';
import { orderRoutes } from './orders/routes.js';
import { problemRoutes } from './problem-pages/routes.js';
import { productRoutes } from './products/routes.js';
import { shipmentReportRoutes } from './shipment-reports/routes.js';

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
  /** Who may call. Open, whoever reaches the API may do everything. */
  auth: AuthSettings | 'open';
  protection: ProtectionSettings;
  cursors: Cursors;
  /** What measures the requests, if anything does. */
  metrics?: HttpMetrics | undefined;
  /** Told the route of each request that has one, while the request is under way. */
  noteRoute?: ((template: string | undefined) => void) | undefined;
  /** Of encrypted payloads, for Web UI and CLI; without it there is none. */
  codec?: { payloads: PayloadCodec; sessions: CodecSessions } | undefined;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its body may take long; the route watches it itself. */
    isUpload?: true;
  }
}

/** The HTTP application, without a listener: what every request passes, then the routes by name. */
export async function buildApp(deps: AppDependencies): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: deps.logger.child({}, { serializers: { req: loggedRequest } }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: UPLOAD_TIMEOUT_MS,
    handlerTimeout: HANDLER_TIMEOUT_MS,
    http: {
      ...{ headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
      // How often it is looked for headers that are late; and a missing Host is refused below, as a problem.
      ...{ connectionsCheckingInterval: 1_000, requireHostHeader: false },
    },
    clientErrorHandler: answerClientError,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
    // What the router itself refuses (a path that cannot be decoded) does not come to the error handlers.
    frameworkErrors: (error, request, reply) =>
      void (request.url.startsWith(PAGES) ? answerWithPage : answerError)(error, request, reply),
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  deps.metrics?.install(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    deps.noteRoute?.(request.routeOptions.url);
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw malformedRequest('there is no Host');
    if (!request.routeOptions.config.isUpload) cutWhenLate(request, reply, REQUEST_TIMEOUT_MS);
  });
  app.addHook('onResponse', async (request) => discardRest(request));
  requireContracts(app);
  await installProtection(app, deps.protection);
  installAuth(app, deps.auth, deps.codec?.sessions);
  installJsonParser(app);
  installIdempotency(app, deps.store);
  // What a client expects beyond that is not refused with 417 and no body, it is ignored.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  // Streams of events would hold up the end for ever.
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  installErrorHandling(app);
  // Fastify's own parser of plain text: JSON under that name is 415, not a string that is no object.
  app.removeContentTypeParser('text/plain');

  await installOpenApi(app);
  app.register(healthRoutes, deps);
  app.register(problemRoutes, { prefix: '/problems' });
  app.register(productRoutes, { prefix: '/v1/products', ...deps });
  app.register(orderRoutes, { prefix: '/v1/orders', ...deps });
  app.register(cartRoutes, { prefix: '/v1/carts', ...deps });
  app.register(approvalRoutes, { prefix: '/v1/approvals', ...deps });
  app.register(batchRoutes, { prefix: '/v1/batches', ...deps, closing: closing.signal });
  app.register(callbackRoutes, { prefix: '/v1/callbacks', ...deps });
  app.register(shipmentReportRoutes, { prefix: '/v1/shipment-reports', ...deps });
  app.register(approvalPageRoutes, { prefix: '/approvals', ...deps });
  if (deps.codec) {
    app.register(codecRoutes, { prefix: CODEC, client: deps.client, codec: deps.codec.payloads });
    app.register(codecSessionRoutes, { prefix: CODEC, auth: deps.auth, sessions: deps.codec.sessions });
  }
  return app;
}

/** A request as it is logged: no log holds a token, a query or who asks. */
function loggedRequest({ method, url, host }: FastifyRequest) {
  const [path = ''] = url.split('?');
  const shown = path.startsWith('/v1/') ? path : path.replace(/(\/approvals\/+).+/is, '$1[token]');
  return { method, url: shown, host };
}
