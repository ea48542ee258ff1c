import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CancelledFailure, type ApplicationFailure } from '@temporalio/common';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CALL_TIMEOUT_MS } from '../../../src/activities/external/external-calls.js';
import { createPaymentActivities } from '../../../src/activities/payments.js';
import { createShippingActivities } from '../../../src/activities/shipping.js';
import { freePort } from '../../support/processes.js';
import { createActivityEnvironment, runActivity } from '../../support/workers/activity-environment.js';
import { createTestCarrier } from '../../support/shop/carrier.js';
import { createTestPaymentGateway } from '../../support/shop/payment-gateway.js';
import { stubStockJustHeld, OWNER_RUN_ID } from '../../support/shop/stock-stubs.js';
import { startFakes, type RunningFakes } from '../../support/fakes/running-fakes.js';

const amount = { value: 1999, currency: 'EUR' };
const lines = [{ sku: 'MUG', quantity: 2 }];

let fakes: RunningFakes;
beforeAll(async () => {
  fakes = await startFakes();
});
afterAll(async () => {
  await fakes.close();
});
afterEach(() => {
  fakes.faults.clear();
  vi.restoreAllMocks();
});

type Activities = ReturnType<typeof createPaymentActivities> & ReturnType<typeof createShippingActivities>;

/** Creates the activities that a worker runs. They call the fake partners, or `url` when it is set. */
function createActivitiesFor(url?: string): Activities {
  const { paymentsUrl, carrierUrl } = url === undefined ? fakes : { paymentsUrl: url, carrierUrl: url };
  const payments = createTestPaymentGateway({ paymentsUrl });
  const settings = { payments, carrier: createTestCarrier({ carrierUrl }), store: stubStockJustHeld };
  return { ...createPaymentActivities(settings), ...createShippingActivities(settings) };
}

/** An activity that calls a partner, with the request that the partner must receive. */
interface PartnerActivity {
  name: keyof Activities;
  operation: 'charge' | 'refund' | 'shipment' | 'cancellation';
  unavailableType: string;
  path: string;
  key: string;
  body: (orderId: string) => object;
  run: (orderId: string, env?: MockActivityEnvironment, url?: string) => Promise<unknown>;
}

const cases: PartnerActivity[] = [
  {
    name: 'chargePayment',
    operation: 'charge',
    unavailableType: 'PaymentGatewayUnavailable',
    path: '/payments/charges',
    key: 'charge',
    body: (orderId) => ({ orderId, amount, token: 'tok_ok' }),
    run: (orderId, env, url) =>
      runActivity(
        createActivitiesFor(url).chargePayment,
        { orderId, firstRunId: OWNER_RUN_ID, amount, token: 'tok_ok' },
        env,
      ),
  },
  {
    name: 'refundPayment',
    operation: 'refund',
    unavailableType: 'PaymentGatewayUnavailable',
    path: '/payments/refunds',
    key: 'refund',
    body: (orderId) => ({ orderId }),
    run: (orderId, env, url) => runActivity(createActivitiesFor(url).refundPayment, { orderId }, env),
  },
  {
    name: 'requestShipment',
    operation: 'shipment',
    unavailableType: 'CarrierUnavailable',
    path: '/carrier/shipments',
    key: 'shipment',
    body: (orderId) => ({ orderId, lines }),
    run: (orderId, env, url) =>
      runActivity(createActivitiesFor(url).requestShipment, { orderId, firstRunId: OWNER_RUN_ID, lines }, env),
  },
  {
    name: 'cancelShipment',
    operation: 'cancellation',
    unavailableType: 'CarrierUnavailable',
    path: '/carrier/cancellations',
    key: 'shipment-cancellation',
    body: (orderId) => ({ orderId }),
    run: (orderId, env, url) => runActivity(createActivitiesFor(url).cancelShipment, { orderId }, env),
  },
];

/** Counts the effects of an operation that the fake partner has recorded for an order. */
function effectsOf(on: PartnerActivity['operation'], orderId: string): number {
  const { charges, refunds, shipments, cancellations } = fakes.records(orderId);
  return { charge: charges, refund: refunds, shipment: shipments, cancellation: cancellations }[on].length;
}

/** Functions that create a `Retry-After` date, by description. */
const httpDates: Record<string, () => string> = {
  'in 90 s': () => new Date(Date.now() + 90_000).toUTCString(),
  '90 s ago': () => new Date(Date.now() - 90_000).toUTCString(),
  'in 7 days': () => new Date(Date.now() + 7 * 86_400_000).toUTCString(),
};

/** Starts a server that always returns the same response, and returns its address. */
async function startServerResponding(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status, headers).end(body));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each(cases)('$name', ({ operation, unavailableType, path, key, body, run }) => {
  test('a repeated run of the activity sends the same request and has one effect', async () => {
    const orderId = randomUUID();
    const first = await run(orderId);
    const second = await run(orderId);

    expect(second).toEqual(first);
    expect(effectsOf(operation, orderId)).toBe(1);
    const { requests } = fakes.records(orderId);
    const call = { path, idempotencyKey: `order:${orderId}:${key}`, body: body(orderId) };
    // refundPayment first looks up the refund, so the second run sends no refund request.
    expect(requests).toMatchObject(operation === 'refund' ? [call] : [call, call]);
  });

  test.each(['lose-response', 'malformed'] as const)(
    'when the effect happened but the response was unusable (%s), a retry succeeds without a second effect',
    async (fault) => {
      const orderId = randomUUID();
      fakes.faults.add({ on: operation, orderId, fault });

      await expect(run(orderId)).rejects.toMatchObject({ type: unavailableType, nonRetryable: false });
      await run(orderId);
      expect(effectsOf(operation, orderId)).toBe(1);
    },
  );

  test('a retry succeeds after a call that did not reach the partner', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: operation, orderId, fault: 'unreachable' });

    await expect(run(orderId)).rejects.toMatchObject({ type: unavailableType, nonRetryable: false });
    expect(effectsOf(operation, orderId)).toBe(0);
    await run(orderId);
    expect(effectsOf(operation, orderId)).toBe(1);
  });

  test.each([500, 503, 429, 408, 425])('fails with a retryable error when the partner returns %i', async (status) => {
    const orderId = randomUUID();
    fakes.faults.add({ on: operation, orderId, fault: 'error', status });

    await expect(run(orderId)).rejects.toMatchObject({
      type: unavailableType,
      nonRetryable: false,
      message: expect.stringContaining(String(status)),
    });
  });

  test.each([400, 402, 409, 422])(
    'fails permanently when the partner returns %i with an error code, and reports only the code and the status',
    async (status) => {
      const orderId = randomUUID();
      fakes.faults.add({ on: operation, orderId, fault: 'error', status });

      await expect(run(orderId)).rejects.toMatchObject({
        type: 'RejectedByExternalSystem',
        nonRetryable: true,
        message: expect.stringMatching(new RegExp(`^\\w+: injected_fault \\(${status}\\)$`)),
      });
    },
  );

  test.each([
    // Wrong credentials or a wrong URL of the shop cause these statuses, regardless of the error code.
    ...[401, 403, 404, 405].flatMap((status) => [
      [status, null],
      [status, 'injected_fault'],
    ]),
    // A response without the agreed error body may come from a proxy instead of the partner.
    ...[301, 307, 400, 402, 409, 413, 422, 451].map((status) => [status, null]),
  ] as [number, string | null][])(
    'when the partner returns %i with the error code %s, fails as misconfigured and retries after five minutes',
    async (status, code) => {
      const orderId = randomUUID();
      fakes.faults.add({ on: operation, orderId, fault: 'error', status, code });

      const failure: unknown = await run(orderId).catch((error: unknown) => error);

      expect(failure).toMatchObject({
        type: unavailableType.replace('Unavailable', 'Misconfigured'),
        nonRetryable: false,
        nextRetryDelay: 5 * 60_000,
        message: expect.stringContaining(String(status)),
      });
      await run(orderId);
      expect(effectsOf(operation, orderId)).toBe(1);
    },
  );

  test.each([
    [429, '7', 7_000],
    [503, '120', 120_000],
    [503, '0', 1_000],
    [429, '86400', 60 * 60_000],
    [503, '99999999999999999999', 60 * 60_000],
    [503, 'in 90 s', 90_000],
    [503, '90 s ago', 1_000],
    [503, 'in 7 days', 60 * 60_000],
    [503, 'soon', undefined],
    [503, '-5', undefined],
    [503, '1e3', undefined],
    [500, '7', undefined],
    [408, '7', undefined],
  ] as [number, string, number | undefined][])(
    'when the partner returns %i with Retry-After %s, sets the retry delay to %s ms',
    async (status, header, delayMs) => {
      const orderId = randomUUID();
      const retryAfter = httpDates[header]?.() ?? header;
      fakes.faults.add({ on: operation, orderId, fault: 'error', status, retryAfter });

      const failure = (await run(orderId).catch((error: unknown) => error)) as ApplicationFailure;

      expect(failure).toMatchObject({ type: unavailableType, nonRetryable: false });
      if (delayMs === undefined) expect(failure.nextRetryDelay).toBeUndefined();
      // The tolerance allows for the whole seconds of the header and for the duration of the test.
      else expect(Math.abs(Number(failure.nextRetryDelay) - delayMs)).toBeLessThan(5_000);
    },
  );

  test('accepts a slow response that arrives within the time limit', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: operation, orderId, fault: 'slow', delayMs: 100 });

    await run(orderId);
    expect(effectsOf(operation, orderId)).toBe(1);
  });

  test('fails with a retryable error when the partner does not respond within the time limit', async () => {
    const orderId = randomUUID();
    const hold = fakes.hold(operation, orderId);
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const limit = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 50));

    await expect(run(orderId)).rejects.toMatchObject({ type: unavailableType, nonRetryable: false });
    await hold.disconnected;
    await hold.release();
    expect(limit).toHaveBeenCalledWith(CALL_TIMEOUT_MS);
    await run(orderId);
    expect(effectsOf(operation, orderId)).toBe(1);
  });

  test('a cancelled activity aborts the call and ends as cancelled', async () => {
    const orderId = randomUUID();
    const hold = fakes.hold(operation, orderId);
    const env = createActivityEnvironment();
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(new AbortController().signal);
    const ended = run(orderId, env).catch((error: unknown) => error);
    await hold.arrived;
    env.cancel();

    expect(await ended).toBeInstanceOf(CancelledFailure);
    await hold.disconnected;
    await hold.release();
  });

  test('sends heartbeats during the call, so that the activity receives a cancellation', async () => {
    const orderId = randomUUID();
    const hold = fakes.hold(operation, orderId);
    const env = createActivityEnvironment();
    const heartbeat = once(env, 'heartbeat');
    const ended = run(orderId, env);
    await heartbeat;
    await hold.release();

    await ended;
  });

  test('fails with a retryable error that contains the reason when the partner is unreachable', async () => {
    const unreachableUrl = `http://127.0.0.1:${await freePort()}`;

    await expect(run(randomUUID(), undefined, unreachableUrl)).rejects.toMatchObject({
      type: unavailableType,
      nonRetryable: false,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test.each([
    ['HTML', 201, '<html>'],
    ['an empty response', 204, ''],
  ])(
    'fails with a retryable error when the partner returns %s instead of JSON',
    async (_description, status, response) => {
      const url = await startServerResponding(status, response);

      await expect(run(randomUUID(), undefined, url)).rejects.toMatchObject({
        type: unavailableType,
        nonRetryable: false,
      });
    },
  );

  test('does not follow a redirect of the partner', async () => {
    const url = await startServerResponding(307, '', { location: `${fakes.paymentsUrl}/charges` });
    const orderId = randomUUID();

    await expect(run(orderId, undefined, url)).rejects.toMatchObject({
      type: unavailableType.replace('Unavailable', 'Misconfigured'),
    });
    expect(fakes.records(orderId).requests).toEqual([]);
  });

  test('treats the error code "constructor", a property of every JavaScript object, as unknown', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: operation, orderId, fault: 'error', status: 409, code: 'constructor' });

    await expect(run(orderId)).rejects.toMatchObject({ type: 'RejectedByExternalSystem' });
  });
});

test("an activity truncates the partner's error message and replaces invalid characters", async () => {
  const message = `no\u0000\ud800\n${'x'.repeat(1_000)}`;
  const url = await startServerResponding(402, JSON.stringify({ error: { code: 'card_declined', message } }));

  const failure = (await cases[0]!.run(randomUUID(), undefined, url).catch((error: unknown) => error)) as Error;

  expect(failure).toMatchObject({ type: 'CardDeclined', message: `no \ufffd ${'x'.repeat(294)}…` });
});
