import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { FastifyInstance } from 'fastify';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { inject } from 'vitest';
import {
  freePort,
  type ManagedProcess,
  startProcess,
  typescriptCommand,
  unsetShellVariables,
  waitUntil,
} from '../processes.js';
import { buildApp } from '../../../src/api/app.js';
import type { AppDependencies } from '../../../src/api/dependencies.js';
import { createCursors } from '../../../src/api/http/lists/cursors.js';
import { createPayloadCodec } from '../../../src/temporal/encryption/codec.js';
import type { EncryptionKey } from '../../../src/temporal/encryption/keys.js';
import { createLogger, type Logger } from '../../../src/observability/logger.js';
import { operations } from '../../../src/batch-operations/index.js';
import type { OutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import type { DecisionCallback } from '../../../src/schemas/callbacks.js';
import type { OrderResource, ShipmentReport } from '../../../src/schemas/order.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { createSlackClient } from '../../../src/slack/client.js';
import type { Store } from '../../../src/store/index.js';
import {
  approvalEnvironment,
  APPROVAL_WEBHOOK_SECRET,
  approvalLinks,
  outgoingHttpClient as toThisMachine,
  PREVIOUS_WEBHOOK_SECRET,
} from '../shop/test-activities.js';
import { SLACK_BOT_TOKEN, slackApprovers } from '../shop/slack.js';
import type { DevServer } from '../temporal/dev-server.js';
import type { Shop } from '../shop/shop.js';
import {
  CARRIER_WEBHOOK_SECRET,
  SLACK_SIGNING_SECRET,
  STRIPE_WEBHOOK_SECRET,
  type RunningFakes,
} from '../fakes/running-fakes.js';

/** The secret with which every API in the tests signs its cursors. */
export const CURSOR_SECRET = 'seals-the-cursors-of-all-tests-0';

/** The default limits of uploads. */
export const BATCH_UPLOAD_LIMITS: AppDependencies['batchUploadLimits'] = {
  maxBytes: 2 ** 30,
  maxLineLength: 16_384,
  maxUploads: 16,
  maxUploadsPerCaller: 4,
  minBytesPerSecond: 16_384,
  speedCheckMs: 30_000,
};

export interface ApiResponse<Body> {
  status: number;
  headers: Headers;
  body: Body;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  /** A body that is sent unchanged. */
  text?: string;
  /** A body that is sent as JSON. */
  json?: unknown;
}

/** The HTTP API of one test file. If the run has replicas, `request` calls them in turn. */
export interface Api {
  url: string;
  /** `Body` is the type that the test expects. Nothing checks the body against this type. */
  request: <Body = Problem>(method: string, path: string, options?: RequestOptions) => Promise<ApiResponse<Body>>;
  get: <Body = Problem>(path: string) => Promise<ApiResponse<Body>>;
  post: <Body = Problem>(path: string, json?: unknown) => Promise<ApiResponse<Body>>;
  /** Polls the order until `expected` returns true. */
  waitForOrder: (orderId: string, expected: (order: OrderResource) => boolean, what: string) => Promise<OrderResource>;
  waitForOrderStage: (orderId: string, stage: OrderResource['stage']) => Promise<OrderResource>;
  waitForOrderStatus: (orderId: string, status: OrderResource['status']) => Promise<OrderResource>;
  close: () => Promise<void>;
}

interface ApiOptions {
  client: Client;
  store: Store;
  fakes?: RunningFakes;
  outgoing?: OutgoingHttpClient;
  batchUploadLimits?: Partial<AppDependencies['batchUploadLimits']>;
  auth?: AppDependencies['auth'];
  protection?: Partial<AppDependencies['protection']>;
  /** The secrets that sign the sessions of browsers. */
  sessionSecrets?: readonly string[];
  logger?: Logger;
  metrics?: AppDependencies['httpMetrics'];
  links?: AppDependencies['links'];
  consoleLinks?: AppDependencies['consoleLinks'];
  /** The encryption keys of the codec endpoint. With `none`, the API has no codec endpoint. */
  encryptionKeys?: readonly EncryptionKey[] | 'none';
}

/** Builds the API with default options for tests. The API does not listen yet. */
export async function buildTestApp(deps: ApiOptions): Promise<FastifyInstance> {
  const { client, store, outgoing = toThisMachine, batchUploadLimits, auth = 'open', protection } = deps;
  const { sessionSecrets = [CURSOR_SECRET] } = deps;
  const { encryptionKeys: keys = [], logger = createLogger('api', 'silent'), metrics, links = {} } = deps;
  return await buildApp({
    client,
    store,
    logger,
    approvalLinks,
    outgoing,
    httpMetrics: metrics,
    links,
    consoleLinks: deps.consoleLinks,
    carrierWebhookSecrets: [CARRIER_WEBHOOK_SECRET, PREVIOUS_WEBHOOK_SECRET],
    approvalWebhookSecrets: [APPROVAL_WEBHOOK_SECRET, PREVIOUS_WEBHOOK_SECRET],
    slack: deps.fakes && {
      signingSecrets: [SLACK_SIGNING_SECRET],
      approvers: slackApprovers,
      client: createSlackClient({ apiUrl: deps.fakes.slackApiUrl, botToken: SLACK_BOT_TOKEN }),
    },
    stripeWebhookSecrets: [STRIPE_WEBHOOK_SECRET, PREVIOUS_STRIPE_WEBHOOK_SECRET],
    batchOperations: operations,
    batchUploadLimits: { ...BATCH_UPLOAD_LIMITS, ...batchUploadLimits },
    auth,
    // Load shedding is off, because test machines sometimes stall.
    protection: { corsOrigins: [], codecOrigins: [], hstsMaxAgeSeconds: 0, maxEventLoopDelayMs: 0, ...protection },
    cursors: createCursors([CURSOR_SECRET]),
    sessionSecrets,
    codec: keys === 'none' ? undefined : createPayloadCodec({ keys, namespace: client.options.namespace }),
  });
}

/** Starts the API on free ports, one per replica, and sends the fake carrier's reports to it. */
export async function startApi(deps: ApiOptions): Promise<Api> {
  const { fakes } = deps;
  const apps = await Promise.all(Array.from({ length: inject('replicas') }, () => buildTestApp(deps)));
  const urls = await Promise.all(apps.map((app) => app.listen({ host: '127.0.0.1', port: 0 })));
  const [url] = urls as [string];
  let requests = 0;
  fakes?.setCallbackUrl(`${url}/v1/callbacks/shipments`);
  fakes?.slack.setInteractionsUrl(`${url}/v1/callbacks/slack`);

  async function request<Body>(method: string, path: string, { headers, text, json }: RequestOptions = {}) {
    const response = await fetch(urls[requests++ % urls.length]! + path, {
      method,
      headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(text !== undefined && { body: text }),
      ...(json !== undefined && { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(30_000),
    });
    const received = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (received && JSON.parse(received)) as Body,
    };
  }

  const waitForOrder: Api['waitForOrder'] = async (orderId, expected, what) => {
    let seen: unknown;
    const poll = async () => {
      const { status, body } = await request<OrderResource>('GET', `/v1/orders/${orderId}`);
      seen = body;
      return status === 200 && expected(body) ? body : undefined;
    };
    return await waitUntil(poll, { description: `order ${orderId}: ${what}`, timeoutMs: 20_000 }).catch(
      (error: unknown) => {
        throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(seen)}`);
      },
    );
  };

  return {
    url,
    request,
    get: (path) => request('GET', path),
    post: (path, json) => request('POST', path, { json }),
    waitForOrder,
    waitForOrderStage: (orderId, stage) => waitForOrder(orderId, (order) => order.stage === stage, `stage ${stage}`),
    waitForOrderStatus: (orderId, status) =>
      waitForOrder(orderId, (order) => order.status === status, `status ${status}`),
    async close() {
      await Promise.all(apps.map((app) => app.close()));
    },
  };
}

/** Starts the API as in production: src/api/server.ts in a separate process. Resolves when the API responds. */
export async function startApiProcess(
  { address, namespace }: Pick<DevServer, 'address' | 'namespace'>,
  { databaseUrl, fakes }: Pick<Shop, 'databaseUrl' | 'fakes'>,
  env: Record<string, string> = {},
  command = typescriptCommand('src/api/server.ts'),
): Promise<{ url: string; lines: string[]; process: ManagedProcess }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const lines: string[] = [];
  const process = await startProcess({
    name: 'api',
    ...command,
    env: {
      ...unsetShellVariables,
      HOST: '127.0.0.1',
      PORT: String(port),
      API_KEYS: undefined,
      JWT_ISSUER: undefined,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: databaseUrl,
      CARRIER_WEBHOOK_SECRET,
      APPROVAL_WEBHOOK_SECRET,
      CURSOR_SECRET,
      LOG_LEVEL: 'info',
      ...approvalEnvironment(fakes),
      ...env,
    },
    onLine: (line) => lines.push(line),
  });
  const isServing = () => fetch(`${url}/livez`).then(({ ok }) => ok || undefined);
  await waitUntil(isServing, { description: `the API process\n${process.lastOutput()}`, timeoutMs: 60_000 });
  fakes.setCallbackUrl(`${url}/v1/callbacks/shipments`);
  return { url, lines, process };
}

/** Creates the signed webhook of a report from the carrier. */
export const signShipmentReport = (report: ShipmentReport | string, options: SigningOptions = {}): RequestOptions =>
  signWebhook(report, { secret: CARRIER_WEBHOOK_SECRET, ...options });

/** Creates the signed webhook of a decision by an external system. */
export const signDecision = (decision: DecisionCallback | string, options: SigningOptions = {}): RequestOptions =>
  signWebhook(decision, { secret: APPROVAL_WEBHOOK_SECRET, ...options });

export const PREVIOUS_STRIPE_WEBHOOK_SECRET = 'whsec_testStripeSecret0000';

/** Creates the signed event of Stripe. `signatures` are the secrets with which Stripe signs, two while a secret is rolled. */
export function signStripeEvent(
  event: unknown,
  { secrets = [STRIPE_WEBHOOK_SECRET], timestamp = new Date() }: { secrets?: string[]; timestamp?: Date } = {},
): RequestOptions {
  const text = typeof event === 'string' ? event : JSON.stringify(event);
  const seconds = Math.floor(timestamp.getTime() / 1000);
  const headers = secrets.map((secret) =>
    Stripe.webhooks.generateTestHeaderString({ payload: text, secret, timestamp: seconds }),
  );
  const signatures = headers.map((header) => header.split(',')[1]);
  return {
    text,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'stripe-signature': [`t=${seconds}`, ...signatures].join(','),
    },
  };
}

interface SigningOptions {
  secret?: string;
  timestamp?: Date;
  webhookId?: string;
}

function signWebhook(
  body: unknown,
  { secret, timestamp = new Date(), webhookId = randomUUID() }: SigningOptions & { secret: string },
) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return {
    text,
    headers: {
      'content-type': 'application/json',
      'webhook-id': webhookId,
      'webhook-timestamp': String(Math.floor(timestamp.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(webhookId, timestamp, text),
    },
  };
}
