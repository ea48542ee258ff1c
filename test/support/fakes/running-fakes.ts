import { onTestFinished } from 'vitest';
import { buildFakes } from '../../../tools/fakes/app.js';
import type { Fakes } from '../../../tools/fakes/fakes.js';

export const CARRIER_WEBHOOK_SECRET = 'whsec_dGVzdC1jYXJyaWVyLXdlYmhvb2stc2VjcmV0LTAwMDE=';

export const SLACK_SIGNING_SECRET = 'test-slack-signing-secret-0000001';

/** The secrets of webhook endpoints in Stripe are not base64. */
export const STRIPE_WEBHOOK_SECRET = 'whsec_testStripeSecret0001';

export interface RunningFakes extends Fakes {
  paymentsUrl: string;
  carrierUrl: string;
  smtpUrl: string;
  /** The base URL of the Web API of the fake Slack. */
  slackApiUrl: string;
}

/**
 * Starts the fake payment gateway, carrier, Slack and mailbox on free ports. The carrier moves a parcel only when a test
 * requests it.
 */
export async function startFakes(): Promise<RunningFakes> {
  const fakes = buildFakes({
    webhookSecret: CARRIER_WEBHOOK_SECRET,
    autoDeliver: false,
    slackSigningSecret: SLACK_SIGNING_SECRET,
  });
  const url = await fakes.app.listen({ host: '127.0.0.1', port: 0 });
  const smtpUrl = await fakes.listenSmtp({ host: '127.0.0.1', port: 0 });
  return Object.assign(fakes, {
    paymentsUrl: `${url}/payments`,
    carrierUrl: `${url}/carrier`,
    smtpUrl,
    slackApiUrl: `${url}/slack/api`,
  });
}

/**
 * Lets the carrier report that it picked up and delivered the parcel of an order.
 *
 * @returns the responses to the two reports.
 */
export async function deliverParcel({ carrier }: Pick<Fakes, 'carrier'>, orderId: string) {
  return [await carrier.reportNow(orderId, 'in_transit'), await carrier.reportNow(orderId, 'delivered')];
}

/** Expires all idempotency keys of the fakes until the test ends. */
export function expireIdempotencyKeys({ idempotencyKeys }: Pick<Fakes, 'idempotencyKeys'>): void {
  idempotencyKeys.retentionSeconds = 0;
  onTestFinished(() => void (idempotencyKeys.retentionSeconds = null));
}
