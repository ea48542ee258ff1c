import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { paymentCases } from '../../../tools/contract/payments/cases.js';
import { startFakeStripe, startPlainPartner } from '../../../tools/contract/payments/fake-partners.js';
import type { PaymentPartner } from '../../../tools/contract/payments/partner.js';
import { runCase } from '../../../tools/contract/contract-case.js';

const CASE_TIMEOUT_MS = 60_000;

describe.each([
  ['plain', startPlainPartner],
  ['stripe', startFakeStripe],
])('the adapter %s to the fakes', (_name, startPartner) => {
  let partner: PaymentPartner;
  beforeAll(async () => {
    partner = await startPartner();
  });
  afterAll(async () => {
    await partner.close?.();
  });

  for (const contractCase of paymentCases) {
    const { title } = contractCase;
    test.concurrent(title, { timeout: CASE_TIMEOUT_MS }, async () => {
      const result = await runCase(contractCase, partner);
      // The fake payment gateway reports nothing on its own, so it has no disputes.
      if (!partner.events && result.outcome === 'not tried')
        expect(result.reason).toMatch(/^the partner cannot (send events|find the order of a charge)$/);
      else expect(result).toEqual({ title, outcome: 'kept' });
    });
  }
});
