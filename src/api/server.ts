import { collectDefaultMetrics, Registry } from 'prom-client';
import { createApprovalLinkSigner } from '../approval-links/links.js';
import { operations } from '../batch-operations/index.js';
import type { Config } from '../config/read.js';
import { createBusinessMetrics } from '../observability/metrics/business/business-metrics.js';
import { createHttpMetrics } from '../observability/metrics/http.js';
import { serveMetrics } from '../observability/metrics/metrics-server.js';
import { createRequestMetricsInterceptor } from '../observability/metrics/temporal-requests.js';
import { createSlackApprovers } from '../slack/approvers.js';
import { createSlackClient } from '../slack/client.js';
import { openResources, type Resources } from '../startup/resources.js';
import { runProcess, type ProcessLifecycle } from '../startup/run-process.js';
import type { ShopClients } from '../temporal/client/approval-clients.js';
import { createClients } from '../temporal/connections.js';
import { createPayloadCodec } from '../temporal/encryption/codec.js';
import { buildApp } from './app.js';
import { readBatchUploadLimits } from './batches/upload/limits.js';
import type { SlackAccess } from './dependencies.js';
import { createCursors } from './http/lists/cursors.js';

/**
 * Maximum time from a stop signal to the exit of the process. Connections that are still open then are not closed
 * properly.
 */
const SHUTDOWN_TIMEOUT_MS = 20_000;

/**
 * Runs the API process. It listens until SIGINT or SIGTERM, then answers the requests that it has accepted, and exits.
 */
async function main({ onStop }: ProcessLifecycle): Promise<void> {
  const resources = await openResources('api');
  const { config, logger, tracing } = resources;
  const registry = config.METRICS_PORT === undefined ? undefined : new Registry();
  const clients = createClients(config, {
    grpcInterceptors: registry && [createRequestMetricsInterceptor(registry)],
    workflowInterceptors: tracing?.clientInterceptors,
  });
  resources.onClose(() => clients.client.connection.close());
  const app = await createConfiguredApp(resources, clients, registry);
  if (registry) await serveApiMetrics(resources, clients, registry);
  resources.onClose(() => app.close());
  await app.listen({ host: config.HOST, port: config.PORT });

  onStop(async (signal) => {
    logger.info({ signal }, 'closing');
    await resources.close();
    logger.info('stopped');
  }, SHUTDOWN_TIMEOUT_MS);
}

async function createConfiguredApp(
  { config, logger, store, outgoing, tracing }: Resources<'api'>,
  clients: ShopClients,
  registry: Registry | undefined,
) {
  const auth = readAuth(config);
  if (auth === 'open')
    logger.warn('no authentication: neither API_KEYS nor JWT_ISSUER is set, so every caller has all permissions');
  const { PAYLOAD_ENCRYPTION_KEYS: keys } = config;
  return await buildApp({
    ...clients,
    store,
    logger,
    outgoing,
    carrierWebhookSecrets: config.CARRIER_WEBHOOK_SECRET,
    approvalWebhookSecrets: config.APPROVAL_WEBHOOK_SECRET,
    approvalLinks: createApprovalLinkSigner(config.APPROVAL_LINK_SECRET),
    slack: readSlackAccess(config),
    stripeWebhookSecrets: config.STRIPE_WEBHOOK_SECRET ?? [],
    batchOperations: operations,
    batchUploadLimits: readBatchUploadLimits(config),
    auth,
    protection: {
      requestsPerMinute: auth === 'open' ? undefined : config.RATE_LIMIT_PER_MINUTE,
      corsOrigins: config.CORS_ORIGINS,
      codecOrigins: config.CODEC_ORIGINS,
      hstsMaxAgeSeconds: config.HSTS_MAX_AGE,
      maxEventLoopDelayMs: config.MAX_EVENT_LOOP_DELAY_MS,
    },
    cursors: createCursors(config.CURSOR_SECRET),
    links: { temporalUi: config.TEMPORAL_UI_URL, traces: config.TRACE_URL, logs: config.LOGS_URL },
    consoleLinks: config.CONSOLE_LINKS,
    httpMetrics: registry && createHttpMetrics(registry),
    onRoute: tracing?.onRoute,
    sessionSecrets: config.CURSOR_SECRET,
    codec:
      keys &&
      createPayloadCodec({
        keys,
        namespace: config.TEMPORAL_NAMESPACE,
        peerNamespaces: config.APPROVAL_NAMESPACE === undefined ? [] : [config.APPROVAL_NAMESPACE],
      }),
  });
}

/** Returns how callers are authenticated: `open` if neither API keys nor tokens are configured. */
function readAuth(config: Config<'api'>) {
  const { API_KEYS: apiKeys = [], JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_JWKS_URL: jwksUrl } = config;
  const tokens =
    issuer && audience && jwksUrl
      ? { issuer, audience, jwksUrl, idClaim: config.JWT_ID_CLAIM, rolesClaim: config.JWT_ROLES_CLAIM }
      : undefined;
  const { OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret, OIDC_SCOPE: scope } = config;
  const oidc = clientId === undefined ? undefined : { clientId, clientSecret, scope };
  return apiKeys.length === 0 && !tokens ? 'open' : { apiKeys, tokens, oidc };
}

/** Returns undefined if Slack is not configured. */
function readSlackAccess(config: Config<'api'>): SlackAccess | undefined {
  const { SLACK_BOT_TOKEN: botToken, SLACK_SIGNING_SECRET: signingSecrets, SLACK_APPROVERS: table } = config;
  if (botToken === undefined || signingSecrets === undefined || table === undefined) return undefined;
  const client = createSlackClient({ apiUrl: config.SLACK_API_URL, botToken });
  return { signingSecrets, approvers: createSlackApprovers(table), client };
}

async function serveApiMetrics(
  { config, logger, store, onClose }: Resources<'api'>,
  clients: ShopClients,
  registry: Registry,
): Promise<void> {
  collectDefaultMetrics({ register: registry });
  const closeMetrics = await serveMetrics(
    { '/metrics': registry, '/metrics/business': createBusinessMetrics({ ...clients, store, operations }) },
    { host: config.METRICS_HOST, port: config.METRICS_PORT!, logger },
  );
  onClose(closeMetrics);
}

await runProcess(main);
