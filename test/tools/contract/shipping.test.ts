import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Carrier } from '../../../src/activities/carrier.js';
import { runCase } from '../../../tools/contract/contract-case.js';
import { shippingCases } from '../../../tools/contract/shipping/cases.js';
import { startPlainCarrierPartner } from '../../../tools/contract/shipping/fake-partners.js';
import type { CarrierPartner } from '../../../tools/contract/shipping/partner.js';
import { suites } from '../../../tools/contract/suites.js';

const CASE_TIMEOUT_MS = 60_000;

let partner: CarrierPartner;
beforeAll(async () => {
  partner = await startPlainCarrierPartner();
});
afterAll(async () => {
  await partner.close?.();
});

describe('the adapter plain to the fake carrier', () => {
  for (const contractCase of shippingCases) {
    const { title } = contractCase;
    test.concurrent(title, { timeout: CASE_TIMEOUT_MS }, async () => {
      expect(await runCase(contractCase, partner)).toEqual({ title, outcome: 'kept' });
    });
  }
});

describe('the contract suite of shipping', () => {
  const resultOf = (title: string, changes: Partial<CarrierPartner>) =>
    runCase(
      shippingCases.find((contractCase) => contractCase.title === title)!,
      { ...partner, ...changes },
    );
  const changedCarrier = (changes: (carrier: Carrier) => Partial<Carrier>) => ({
    createCarrier: () => {
      const carrier = partner.createCarrier();
      return { ...carrier, ...changes(carrier) };
    },
  });

  test('names exactly the two promises that an adapter breaks', { timeout: CASE_TIMEOUT_MS }, async () => {
    const file = join(import.meta.dirname, '../fixtures/careless-carrier.ts');
    const run = await suites.shipping.prepare({}, file);
    const results = await Promise.all(run.cases.map((runOne) => runOne()));
    await run.partner.close?.();

    expect(results.flatMap((result) => (result.outcome === 'broken' ? [result.title] : []))).toEqual([
      'ships an order once when the order is older than the retention of keys',
      'finds a shipment, also after its cancellation',
    ]);
  });

  test.each<[string, (carrier: Carrier) => Partial<Carrier>, string]>([
    [
      'voids an order that has no shipment, and rejects a later request',
      () => ({ cancelShipment: () => Promise.resolve({ status: 'voided' }) }),
      'expected ShipmentCancelled',
    ],
    [
      'repeats a lookup whose response has an unknown format',
      ({ findShipment }) => ({ findShipment: (orderId) => findShipment(orderId).catch(() => undefined) }),
      'expected CarrierUnavailable',
    ],
    [
      'reports wrong credentials as misconfigured, so that an operator can correct them',
      ({ requestShipment }) => ({
        requestShipment: (request) => requestShipment(request).catch(() => requestShipment(request)),
      }),
      'expected CarrierMisconfigured',
    ],
  ])('reports an adapter that breaks the promise "%s"', async (title, changes, message) => {
    expect(await resultOf(title, changedCarrier(changes))).toMatchObject({
      outcome: 'broken',
      error: { message: expect.stringContaining(message) },
    });
  });

  test('reports a carrier whose signatures the API rejects', async () => {
    const { secrets } = partner.reports!;
    const sign = () => ({ headers: {}, body: '{}' });
    expect(await resultOf('applies a duplicated report once', { reports: { secrets, sign } })).toMatchObject({
      outcome: 'broken',
      error: { message: expect.stringContaining('rejected') },
    });
  });

  test('reports the cases that a carrier cannot provoke as not tried, with the reason', async () => {
    const { name, createCarrier, lines } = partner;
    const results = await Promise.all(
      shippingCases.map((contractCase) => runCase<CarrierPartner>(contractCase, { name, createCarrier, lines })),
    );

    expect(results.filter(({ outcome }) => outcome === 'broken')).toEqual([]);
    expect(results).toContainEqual({
      title: 'rejects a forged report',
      outcome: 'not tried',
      reason: 'the partner cannot sign reports',
    });
  });

  test('stops with one line for an unknown adapter', async () => {
    await expect(suites.shipping.prepare({ CARRIER: 'dhl' })).rejects.toThrow(
      'CARRIER: must be plain, got "dhl" (example: CARRIER=plain)',
    );
  });
});
