import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { AppDependencies } from './dependencies.js';
import { handleClientError } from './http/client-errors.js';
import {
  HANDLER_TIMEOUT_MS,
  MAX_BODY_BYTES,
  MAX_HEADER_BYTES,
  MAX_PARAM_LENGTH,
  REQUEST_TIMEOUT_MS,
  UPLOAD_TIMEOUT_MS,
} from './limits.js';
import { actionLogPlugin } from './plugins/action-log.js';
import { authPlugin } from './plugins/auth/index.js';
import { createSessions, type Sessions } from './plugins/auth/sessions.js';
import { errorHandlerPlugin } from './plugins/error-handler.js';
import { idempotencyPlugin } from './plugins/idempotency.js';
import { openApiPlugin } from './plugins/openapi/index.js';
import { CODEC_PATH, protectionPlugin } from './plugins/protection.js';
import { requestParsingPlugin } from './plugins/request-parsing.js';
import { requestTimeoutsPlugin } from './plugins/request-timeouts.js';
import { requiredContractsPlugin } from './plugins/required-contracts.js';
import { malformedRequest } from './problems/http-problem.js';
import { sendError } from './problems/send-problem.js';
import { sendErrorPage, approvalPageRoutes } from './approvals/page-routes.js';
import { createApprovalList } from './approvals/list.js';
import { approvalRoutes } from './approvals/routes.js';
import { batchRoutes } from './batches/routes.js';
import { createBatchServices } from './batches/services.js';
import { bulkRoutes } from './bulk/routes.js';
import { callbackRoutes } from './callbacks/routes.js';
import { slackRoutes } from './callbacks/slack/routes.js';
import { stripeRoutes } from './callbacks/stripe/routes.js';
import { cartRoutes } from './carts/routes.js';
import { codecRoutes } from './codec/routes.js';
import { CONSOLE_PATH, withConsoleContract } from './console/contract.js';
import { consoleRoutes } from './console/routes.js';
import { healthRoutes } from './health/routes.js';
import { createOrderList } from './orders/list.js';
import { orderRoutes } from './orders/routes.js';
import { problemRoutes } from './problem-pages/routes.js';
import { productRoutes } from './products/routes.js';
import { shipmentReportRoutes } from './shipment-reports/routes.js';

/**
 * Path of the approval pages. The rest of the path is a token. Every caller with the token can decide the approval.
 */
const APPROVAL_PAGES_PATH = '/approvals/';

/** Builds the HTTP application but does not start to listen. Registers the plugins before the routes. */
export async function buildApp(deps: AppDependencies): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: deps.logger.child({}, { serializers: { req: requestLogFields } }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: UPLOAD_TIMEOUT_MS,
    handlerTimeout: HANDLER_TIMEOUT_MS,
    http: {
      headersTimeout: REQUEST_TIMEOUT_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // How often Node checks whether a connection exceeds `headersTimeout`.
      connectionsCheckingInterval: 1_000,
      // The `onRequest` hook below rejects a missing Host header with a problem response.
      requireHostHeader: false,
    },
    clientErrorHandler: handleClientError,
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    // A request that arrives during the shutdown on an open connection is processed. The default response is no problem
    // document, and a gateway would pass it on to the client.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
    // Handles errors of the router, such as a path that cannot be decoded. They do not reach the other error handlers.
    frameworkErrors: (error, request, reply) =>
      void (request.url.startsWith(APPROVAL_PAGES_PATH) ? sendErrorPage : sendError)(error, request, reply),
  }) as unknown as FastifyInstance;
  app.setSerializerCompiler(serializerCompiler);
  // Ignores unknown `Expect` headers. By default, Node responds 417 without a body.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  // Ends the event streams at shutdown, because an open stream would block the shutdown.
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  // Hooks run in the order of registration. `await` registers a plugin at once.
  if (deps.httpMetrics) await app.register(deps.httpMetrics.plugin);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    deps.onRoute?.(request.routeOptions.url);
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      throw malformedRequest('the Host header is missing');
  });
  await app.register(requestTimeoutsPlugin, { limitMs: REQUEST_TIMEOUT_MS });
  await app.register(requiredContractsPlugin);
  await app.register(protectionPlugin, deps.protection);
  const sessions = sessionsOf(deps);
  await app.register(authPlugin, { settings: deps.auth, sessions });
  await app.register(actionLogPlugin);
  await app.register(requestParsingPlugin);
  await app.register(idempotencyPlugin, { store: deps.store });
  await app.register(errorHandlerPlugin);
  await app.register(openApiPlugin);

  // The API and the console share the state of these services.
  const batches = createBatchServices(deps);
  const listOrders = createOrderList(deps);
  const listApprovals = createApprovalList(deps);
  app.register(healthRoutes, deps);
  app.register(problemRoutes, { prefix: '/problems' });
  app.register(productRoutes, { prefix: '/v1/products', ...deps });
  app.register(orderRoutes, { prefix: '/v1/orders', ...deps, listOrders });
  app.register(cartRoutes, { prefix: '/v1/carts', ...deps });
  app.register(approvalRoutes, { prefix: '/v1/approvals', ...deps, listApprovals });
  app.register(batchRoutes, { prefix: '/v1/batches', ...deps, batches, closing: closing.signal });
  app.register(bulkRoutes, { prefix: '/v1', ...deps, batches });
  app.register(callbackRoutes, { prefix: '/v1/callbacks', ...deps });
  app.register(slackRoutes, { prefix: '/v1/callbacks', ...deps });
  app.register(stripeRoutes, { prefix: '/v1/callbacks', ...deps });
  app.register(shipmentReportRoutes, { prefix: '/v1/shipment-reports', ...deps });
  app.register(approvalPageRoutes, { prefix: '/approvals', ...deps });
  app.register(consoleRoutes, {
    prefix: CONSOLE_PATH,
    ...deps,
    batches,
    listOrders,
    listApprovals,
    sessions,
    closing: closing.signal,
  });
  app.get(
    '/',
    withConsoleContract({ operationId: 'openRoot', summary: 'Redirect to the console', access: 'public' }),
    async (_request, reply) => reply.redirect(CONSOLE_PATH),
  );
  if (deps.codec) app.register(codecRoutes, { prefix: CODEC_PATH, ...deps, codec: deps.codec });
  return app;
}

/** The sessions of browsers; undefined without authentication. */
function sessionsOf({ auth, sessionSecrets: secrets, protection }: AppDependencies): Sessions | undefined {
  if (auth === 'open') return undefined;
  const { apiKeys, tokens } = auth;
  return createSessions({ secrets, apiKeys, issuer: tokens?.issuer, codecOrigins: protection.codecOrigins });
}

/** Returns the fields of a request that are logged. Tokens, the query string and the client address are not logged. */
function requestLogFields({ method, url: fullUrl, host }: FastifyRequest) {
  const [path = ''] = fullUrl.split('?');
  const url = path.startsWith('/v1/') ? path : path.replace(/(\/approvals\/+).+/is, '$1[token]');
  return { method, url, host };
}
