import { collectDefaultMetrics, Registry } from 'prom-client';
import { formatConfigProblem } from '../config/errors.js';
import { redactConfig } from '../config/read.js';
import { createLogger } from '../observability/logger.js';
import { createBusinessMetrics } from '../observability/metrics/business/business-metrics.js';
import { createHttpMetrics } from '../observability/metrics/http.js';
import { serveMetrics } from '../observability/metrics/metrics-server.js';
import { createRequestMetricsInterceptor } from '../observability/metrics/temporal-requests.js';
import { operations } from '../batch-operations/index.js';
import { checkEnvironment, loadStartupConfig } from '../startup/checks/index.js';
import { runProcess, type ProcessLifecycle, type StopSignal } from '../startup/run-process.js';
import { openStore } from '../store/index.js';
import { createClient } from '../temporal/connections.js';
import { startTracing, type Tracing } from '../observability/tracing/index.js';
import { createApprovalLinkSigner } from '../approval-links/links.js';
import { createPayloadCodec } from '../temporal/encryption/codec.js';
import { createOutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import { buildApp } from './app.js';
import { createCodecSessions } from './plugins/auth/sessions.js';
import { createCursors } from './http/cursors.js';

/** Maximum time from a stop signal to the exit. Connections that cannot be closed by then are abandoned. */
const SHUTDOWN_TIMEOUT_MS = 20_000;

/** The API process: listens until SIGINT or SIGTERM, then answers the requests that it has accepted, and exits. */
async function main({ onStop }: ProcessLifecycle): Promise<void> {
  const config = await loadStartupConfig('api');
  // The logger comes first, because tracing logs its problems while it starts.
  let tracing: Tracing | undefined = undefined;
  const logger = createLogger('api', config.LOG_LEVEL, () => tracing?.logFields() ?? {});
  tracing = await startTracing(config, {
    service: 'api',
    onExportError: (problem) => logger.warn({ problem }, 'traces are not delivered'),
  });
  logger.info({ config: redactConfig(config) }, 'starting');
  // The API starts even if its dependencies are unavailable: it answers what it can, and 503 for the rest.
  for (const problem of await checkEnvironment('api', config)) logger.error(formatConfigProblem(problem));

  const registry = config.METRICS_PORT === undefined ? undefined : new Registry();
  const client = createClient(config, {
    grpcInterceptors: registry && [createRequestMetricsInterceptor(registry)],
    workflowInterceptors: tracing?.clientInterceptors,
  });
  const store = openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: config.DATABASE_POOL_SIZE,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
  const outgoing = createOutgoingHttpClient({
    allowedHosts: config.OUTGOING_ALLOWED_HOSTS,
    allowPrivateAddresses: config.OUTGOING_ALLOW_PRIVATE,
  });
  const { API_KEYS: apiKeys = [], JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_JWKS_URL: jwksUrl } = config;
  const tokens =
    issuer && audience && jwksUrl
      ? { issuer, audience, jwksUrl, idClaim: config.JWT_ID_CLAIM, rolesClaim: config.JWT_ROLES_CLAIM }
      : undefined;
  const isOpen = apiKeys.length === 0 && !tokens;
  if (isOpen) logger.warn('OPEN: no API_KEYS and no JWT_ISSUER, so everybody on this machine may do everything');
  const { PAYLOAD_ENCRYPTION_KEYS: keys, CODEC_ORIGINS: codecOrigins } = config;
  const codec = keys && {
    payloads: createPayloadCodec({ keys, namespace: config.TEMPORAL_NAMESPACE }),
    sessions: createCodecSessions(config.CURSOR_SECRET, apiKeys, codecOrigins),
  };
  const app = await buildApp({
    client,
    store,
    logger,
    outgoing,
    carrierWebhookSecrets: config.CARRIER_WEBHOOK_SECRET,
    approvalWebhookSecrets: config.APPROVAL_WEBHOOK_SECRET,
    approvalLinks: createApprovalLinkSigner(config.APPROVAL_LINK_SECRET),
    batchOperations: operations,
    uploadLimits: { maxBytes: config.BATCH_MAX_BYTES, maxLineLength: config.BATCH_MAX_LINE_LENGTH },
    auth: isOpen ? 'open' : { apiKeys, tokens },
    protection: {
      requestsPerMinute: isOpen ? undefined : config.RATE_LIMIT_PER_MINUTE,
      corsOrigins: config.CORS_ORIGINS,
      codecOrigins,
      hstsMaxAgeSeconds: config.HSTS_MAX_AGE,
      maxEventLoopDelayMs: config.MAX_EVENT_LOOP_DELAY_MS,
    },
    cursors: createCursors(config.CURSOR_SECRET),
    httpMetrics: registry && createHttpMetrics(registry),
    onRoute: tracing?.onRoute,
    codec,
  });
  if (registry) collectDefaultMetrics({ register: registry });
  const closeMetrics =
    registry &&
    (await serveMetrics(
      { '/metrics': registry, '/metrics/business': createBusinessMetrics({ client, store, operations }) },
      { host: config.METRICS_HOST, port: config.METRICS_PORT!, logger },
    ));
  await app.listen({ host: config.HOST, port: config.PORT });

  onStop(async (signal: StopSignal) => {
    logger.info({ signal }, 'closing');
    await app.close();
    await closeMetrics?.();
    await client.connection.close();
    await outgoing.close();
    await store.close();
    await tracing?.shutdown();
    logger.info('stopped');
  }, SHUTDOWN_TIMEOUT_MS);
}

await runProcess(main);
