import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../../../tools/stack/stack.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import { approvalScenarios } from '../../../tools/tour/approvals.js';
import { cartScenarios } from '../../../tools/tour/carts.js';
import { orderScenarios } from '../../../tools/tour/orders.js';
import { TourClient } from '../../../tools/tour/tour-client.js';
import { openStore } from '../../../src/store/index.js';
import { waitUntil } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const TIMEOUT_MS = 120_000;

interface StripeEvent {
  eventId: string;
  type: string;
  orderId: string;
  state: string;
  statuses: (number | null)[];
}

describeOnDevServer('a stack with PAYMENTS=stripe and without an account', () => {
  let stack: Stack;
  let client: TourClient;
  beforeAll(async () => {
    stack = await startTemporaryStack({ applicationEnv: { PAYMENTS: 'stripe' } });
    const { apiUrls, webUiUrl, mailboxUrl, temporalNamespace: namespace } = stack.addresses;
    client = new TourClient({ apiUrls, webUiUrl, mailboxUrl, namespace, print: () => undefined });
  }, 2 * TIMEOUT_MS);
  afterAll(async () => {
    await stack?.stop();
  });

  test.each([...orderScenarios, ...cartScenarios, ...approvalScenarios])(
    'has the expected outcome in the tour: $title',
    { timeout: TIMEOUT_MS },
    async ({ run }) => {
      await run(client);
    },
  );

  test('called only the API of Stripe to charge and refund', async () => {
    const response = await fetch(new URL('/test/ledger', stack.addresses.paymentsUrl));
    const { charges, requests } = (await response.json()) as {
      charges: { chargeId: string }[];
      requests: { path: string }[];
    };
    const paths = requests.map(({ path }) => path.replace(/pi_\w+/, '<id>'));

    expect(charges.length).toBeGreaterThan(0);
    expect(charges.filter(({ chargeId }) => !chargeId.startsWith('pi_'))).toEqual([]);
    expect(paths.filter((path) => !/^\/(v1|carrier)\//.test(path))).toEqual([]);
    expect(paths).toContain('/v1/payment_intents/<id>/confirm');
    expect(paths).toContain('/v1/payment_intents/<id>/cancel');
  });

  test(
    'records the events of Stripe, also stale, forged and repeated ones, once each',
    { timeout: TIMEOUT_MS },
    async () => {
      const test = async <Body>(method: string, path: string, body?: object) => {
        const response = await fetch(new URL(`/test/${path}`, stack.addresses.paymentsUrl), {
          method,
          headers: { 'content-type': 'application/json' },
          ...(body && { body: JSON.stringify(body) }),
        });
        expect(response.ok).toBe(true);
        return (await response.json()) as Body;
      };
      const listEvents = async () => (await test<{ events: StripeEvent[] }>('GET', 'stripe/events')).events;
      const { orderId } = (await listEvents()).find(({ type }) => type === 'payment_intent.succeeded')!;
      const faulty: StripeEvent[] = [];
      for (const fault of ['stale', 'forged', 'duplicate']) {
        await test('POST', 'stripe/faults', { orderId, fault });
        faulty.push(await test('POST', `stripe/events/${orderId}`, { type: 'charge.dispute.created' }));
      }
      const statusesOf = (events: StripeEvent[]) =>
        faulty.map(({ eventId }) => events.find((event) => event.eventId === eventId)!.statuses);
      const events = await waitUntil(
        async () => {
          const listed = await listEvents();
          const areDelivered = listed.every(({ state }) => state === 'delivered');
          return areDelivered && statusesOf(listed).every(({ length }) => length >= 2) ? listed : undefined;
        },
        { description: 'two attempts of each faulty event, and the delivery of all events', timeoutMs: 60_000 },
      );
      expect(statusesOf(events)).toEqual([
        [401, 202],
        [401, 202],
        [202, 202],
      ]);

      const used = ['payment_intent.succeeded', 'charge.refunded', 'charge.dispute.created'];
      const expected = events.filter(({ type }) => used.includes(type)).map(({ eventId }) => eventId);
      expect(expected.length).toBeGreaterThan(5);
      const store = openStore({
        databaseUrl: stack.addresses.databaseUrl,
        maxConnections: 1,
        onIdleError: () => undefined,
      });
      try {
        const rows = await store.db.selectFrom('payment_events').select('event_id').execute();
        expect(rows.map(({ event_id: id }) => id).sort()).toEqual(expected.sort());
      } finally {
        await store.close();
      }
    },
  );
});
