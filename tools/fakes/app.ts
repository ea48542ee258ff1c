import { setMaxListeners } from 'node:events';
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify';
import { z } from 'zod';
import { errorResponse } from './calls/responses.js';
import { createFakeCarrier } from './carrier/carrier.js';
import { CallFaults } from './calls/call-faults.js';
import { trackConnections } from './calls/close-connections.js';
import { Holds } from './calls/holds.js';
import type { Fakes } from './fakes.js';
import { IdempotencyKeys } from './ledger/idempotency-keys.js';
import { Ledger } from './ledger/ledger.js';
import { Mailbox } from './mailbox/mailbox.js';
import { registerMailPages } from './mailbox/mail-pages.js';
import { type CallContext, type Operation, lookupHandler, operationHandler } from './calls/call-handler.js';
import { cancellationSchema, chargeListSchema, chargeSchema, refundSchema, shipmentSchema } from './ledger/requests.js';
import { createFakePayments } from './payments/payments.js';
import { ReceivedRequests } from './calls/received-requests.js';
import { StripeEventSender } from './stripe/event-sender.js';
import { createPaymentIntents } from './stripe/payment-intents.js';
import { stripeRoutes } from './stripe/routes.js';
import { registerTestInterface } from './test-interface.js';
import { registerSlackApi } from './slack/slack-api.js';
import { slackPages } from './slack/slack-pages.js';
import { SlackWorkspace } from './slack/workspace.js';
import { WebhookSender } from './carrier/webhook-sender.js';

export interface FakesOptions {
  /** Path of the journal file. If unset, the ledger is kept in memory. */
  ledgerFile?: string | undefined;
  /** The URL that receives the carrier's reports. `setCallbackUrl` can set the URL later. */
  callbackUrl?: string | undefined;
  /**
   * The secret that signs the carrier's reports: `whsec_` followed by base64. If unset, the carrier sends no reports.
   */
  webhookSecret?: string | undefined;
  pickupSeconds?: number | undefined;
  deliverySeconds?: number | undefined;
  /** Whether the carrier picks up and delivers parcels automatically. */
  autoDeliver?: boolean | undefined;
  /** How long the receiver of a report may return 404 before the carrier stops retrying the report. */
  unknownOrderTimeoutSeconds?: number | undefined;
  /** The folder that stores the mails. If unset, mails are kept in memory. */
  mailFolder?: string | undefined;
  /** The URL that receives the interactions of Slack. If unset, the buttons have no effect. */
  slackInteractionsUrl?: string | undefined;
  /** The secret that signs the interactions of Slack. */
  slackSigningSecret?: string | undefined;
  /** The URL that receives the events of Stripe. If unset, the fake sends none. */
  stripeEventsUrl?: string | undefined;
  /** The secret that signs the events of Stripe. */
  stripeWebhookSecret?: string | undefined;
  logger?: FastifyServerOptions['logger'];
}

/**
 * Builds the fake external systems: a payment gateway, a parcel carrier and Slack behind one HTTP server, and a mail
 * server.
 * The caller starts both servers with `app.listen` and `listenSmtp`.
 */
export function buildFakes(options: FakesOptions = {}): Fakes {
  const app: FastifyInstance = Fastify({
    logger: options.logger ?? false,
    logController: new LogController({ disableRequestLogging: true }),
  });
  const ledger = new Ledger(options.ledgerFile);
  const webhooks = new WebhookSender(ledger, {
    callbackUrl: options.callbackUrl,
    secret: options.webhookSecret,
    unknownOrderTimeoutSeconds: options.unknownOrderTimeoutSeconds ?? 300,
    log: app.log,
  });
  const idempotencyKeys = new IdempotencyKeys();
  const stripeEvents = new StripeEventSender(ledger, {
    url: options.stripeEventsUrl,
    secret: options.stripeWebhookSecret,
    log: app.log,
  });
  const stripePayments = createPaymentIntents(ledger, idempotencyKeys, stripeEvents);
  const payments = createFakePayments(ledger, idempotencyKeys);
  const carrier = createFakeCarrier(ledger, webhooks, idempotencyKeys, {
    silent: false,
    autoDeliver: options.autoDeliver ?? true,
    pickupSeconds: options.pickupSeconds ?? 1,
    deliverySeconds: options.deliverySeconds ?? 3,
  });
  const mailbox = new Mailbox({ mailFolder: options.mailFolder, log: app.log });
  const slack = new SlackWorkspace({
    interactionsUrl: options.slackInteractionsUrl,
    signingSecret: options.slackSigningSecret,
  });
  const faults = new CallFaults();
  const holds = new Holds();
  const requests = new ReceivedRequests();
  const closing = new AbortController();
  // Every delayed call adds a listener to this signal. 0 disables Node's warning about many listeners.
  setMaxListeners(0, closing.signal);

  const context: CallContext = { ledger, faults, holds, requests, closing: closing.signal };
  const operation = <Body extends { orderId: string }>(path: string, operation: Operation<Body>) =>
    app.post(path, operationHandler(operation, context));
  operation('/payments/charges', { name: 'charge', body: chargeSchema, effect: payments.charge });
  operation('/payments/refunds', { name: 'refund', body: refundSchema, effect: payments.refund });
  operation('/carrier/shipments', { name: 'shipment', body: shipmentSchema, effect: carrier.accept });
  operation('/carrier/cancellations', { name: 'cancellation', body: cancellationSchema, effect: carrier.cancel });
  app.get('/payments/charges', (request) => payments.list(chargeListSchema.parse(request.query)));
  app.get('/payments/orders/:orderId', lookupHandler('payment', payments.find, context));
  app.get('/carrier/shipments/:orderId', lookupHandler('tracking', carrier.track, context));
  void app.register(stripeRoutes, { prefix: '/v1', context, intents: stripePayments });
  app.get('/healthz', () => ({ status: 'ok' }));

  const controls: Omit<Fakes, 'app' | 'close'> = {
    ledger,
    faults,
    holds,
    idempotencyKeys,
    carrier,
    mailbox,
    slack,
    stripeEvents,
    stripePayments,
    records: (orderId) => ({ ...ledger.records(orderId), requests: requests.list(orderId) }),
    hold: (on, orderId, holdOptions) => holds.add({ on, orderId, ...holdOptions }),
    setCallbackUrl: (url) => webhooks.setCallbackUrl(url),
    listenSmtp: (where) => mailbox.listen(where),
  };
  registerMailPages(app, mailbox);
  registerSlackApi(app, slack);
  app.register(slackPages, { workspace: slack });
  registerTestInterface(app, controls);

  app.setNotFoundHandler((request, reply) => {
    const { status, body } = errorResponse(404, 'not_found', `There is no ${request.method} ${request.url}.`);
    return reply.code(status).send(body);
  });
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof z.ZodError ? 400 : (error.statusCode ?? 500);
    if (status >= 500) app.log.error(error);
    const message = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
    const response = errorResponse(status, status < 500 ? 'invalid_request' : 'internal_error', message);
    return reply.code(response.status).send(response.body);
  });

  const closeUnusedConnections = trackConnections(app.server);
  app.addHook('preClose', async () => {
    closing.abort();
    holds.dropAll();
    closeUnusedConnections();
    await Promise.all([webhooks.close(), stripeEvents.close(), mailbox.close()]);
  });
  app.addHook('onClose', async () => {
    carrier.stop();
    await ledger.close();
  });

  carrier.resume();
  return { app, ...controls, close: () => app.close() };
}
