import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../../../tools/stack/stack.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import { approvalScenarios } from '../../../tools/tour/approvals.js';
import { cartScenarios } from '../../../tools/tour/carts.js';
import { orderScenarios } from '../../../tools/tour/orders.js';
import { TourClient } from '../../../tools/tour/tour-client.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const TIMEOUT_MS = 120_000;

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
});
