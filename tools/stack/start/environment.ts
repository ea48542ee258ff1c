import { mapAddress, type PortMapper } from '../network-links.js';
import { developmentEnvironment, usesFakeStripe } from '../../settings/development-environment.js';
import type { Settings } from '../../settings/settings.js';
import type { StackAddresses } from '../stack.js';

/** The fake Stripe accepts every key of the test mode. */
const FAKE_STRIPE_KEY = 'sk_test_fake';
const FAKE_STRIPE_WEBHOOK_SECRET = 'whsec_development_only_stripe_secret';

/** The origin of the fake payment gateway, carrier, mailbox and Slack. */
export const fakesUrl = ({ fakesPort }: Settings) => `http://127.0.0.1:${fakesPort}`;

/** The URLs of the configured payment gateway and carrier, or else of the fakes. */
export const externalSystemUrls = (settings: Settings) => ({
  paymentsUrl: settings.paymentsUrl ?? `${fakesUrl(settings)}/payments`,
  carrierUrl: settings.carrierUrl ?? `${fakesUrl(settings)}/carrier`,
});

type ServiceAddresses = Pick<
  StackAddresses,
  'apiUrl' | 'temporalAddress' | 'databaseUrl' | 'paymentsUrl' | 'carrierUrl'
>;

/** Returns the environment variables that worker and API share. */
export function sharedEnvironment(settings: Settings, addresses: ServiceAddresses): Record<string, string | undefined> {
  return {
    HOST: settings.host,
    DATABASE_URL: addresses.databaseUrl,
    TEMPORAL_ADDRESS: addresses.temporalAddress,
    TEMPORAL_NAMESPACE: settings.temporalNamespace,
    PAYMENTS_URL: addresses.paymentsUrl,
    CARRIER_URL: addresses.carrierUrl,
    CARRIER_WEBHOOK_SECRET: settings.carrierWebhookSecret,
    LOG_LEVEL: settings.logLevel,
    ...developmentEnvironment(settings, addresses.apiUrl),
    ...fakeStripeEnvironment(settings),
  };
}

/** Returns the connection to the fake Stripe, which the stack uses for `PAYMENTS=stripe` without a key of an account. */
function fakeStripeEnvironment(settings: Settings) {
  if (!usesFakeStripe(settings)) return {};
  const { STRIPE_WEBHOOK_SECRET = FAKE_STRIPE_WEBHOOK_SECRET } = settings.applicationEnv;
  return { STRIPE_SECRET_KEY: FAKE_STRIPE_KEY, STRIPE_API_URL: fakesUrl(settings), STRIPE_WEBHOOK_SECRET };
}

/** Returns the links of the console to the other pages of the stack. */
export function consoleEnvironment({ webUiUrl, mailboxUrl, slackUrl, metricsUrls, breakItUrl }: StackAddresses) {
  const links = { 'Break it': breakItUrl, Mailbox: mailboxUrl, Slack: slackUrl, Metrics: metricsUrls.at(-1) };
  const titled = Object.entries(links).flatMap(([title, url]) => (url === undefined ? [] : [`${title}=${url}`]));
  return { TEMPORAL_UI_URL: webUiUrl, CONSOLE_LINKS: titled.join(',') };
}

/**
 * Returns the URLs of payment gateway and carrier for the worker. The fake payment gateway, the fake Stripe and the fake
 * carrier are one process, so all of them use the same link.
 */
export async function partnerUrls(
  mapPort: PortMapper,
  { paymentsUrl, carrierUrl }: StackAddresses,
  stripeApiUrl: string | undefined,
) {
  const { origin } = new URL(paymentsUrl);
  const mappedOrigin = await mapAddress(mapPort, 'worker to payments and carrier', origin);
  return {
    PAYMENTS_URL: paymentsUrl.replace(origin, mappedOrigin),
    CARRIER_URL: carrierUrl.replace(origin, mappedOrigin),
    ...(stripeApiUrl !== undefined && { STRIPE_API_URL: stripeApiUrl.replace(origin, mappedOrigin) }),
  };
}

/**
 * Returns the URL that clients of a listener use. Clients cannot connect to every listen address, for example not to
 * 0.0.0.0.
 */
export function baseUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
