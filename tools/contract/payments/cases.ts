import assert from 'node:assert/strict';
import { assertFails, assertTimesOut, cancelHeldAttempt } from '../attempts.js';
import { findMissing, type ContractCase } from '../contract-case.js';
import { eventCases } from './event-cases.js';
import type { PaymentPartner } from './partner.js';
import { Trial } from './trial.js';

/** The methods of a partner that a case may need, with the words of the report. */
const PROVOCATIONS = {
  loseNextResponse: 'lose a response',
  garbleNextResponse: 'answer with an unknown body',
  failNextRequest: 'answer with an error status',
  holdCharge: 'hold a charge',
  expireKeys: 'expire idempotency keys',
} as const satisfies Partial<Record<keyof PaymentPartner, string>>;

const CARDS = {
  declined: 'decline a card',
  insufficientFunds: 'decline a card for its funds',
  unknown: 'be given an unknown card',
} as const;

interface Needs {
  provocations?: (keyof typeof PROVOCATIONS)[];
  card?: keyof typeof CARDS;
  /** Whether the adapter must have the optional method `findOrderId`. */
  findOrderId?: boolean;
}

type Run = (trial: Trial, partner: PaymentPartner) => Promise<void>;

function promise(title: string, needs: Needs, run: Run): ContractCase<PaymentPartner> {
  return {
    title,
    missing: (partner) => {
      const missing = findMissing(partner, PROVOCATIONS, needs.provocations);
      if (missing !== undefined) return missing;
      if (needs.findOrderId && !new Trial(partner).findOrderId) return 'find the order of a charge';
      return needs.card && partner.cards[needs.card] === undefined ? CARDS[needs.card] : undefined;
    },
    run: (partner) => run(new Trial(partner), partner),
  };
}

const unavailable = { type: 'PaymentGatewayUnavailable', isFinal: false };
const voided = { type: 'ChargeVoided', isFinal: true };

/** The promises of the port `PaymentGateway`. Every case uses an order of its own, so cases can run concurrently. */
export const paymentCases: readonly ContractCase<PaymentPartner>[] = [
  promise('charges an order once when the charge is repeated', {}, async (trial) => {
    const first = await trial.charge();
    assert.deepEqual(await trial.charge(), first, 'the result of the repeated charge');
    await trial.assertEffects({ charges: 1, refunds: 0 });
  }),

  promise(
    'charges an order once when the response to the charge is lost',
    { provocations: ['loseNextResponse'] },
    async (trial, partner) => {
      await partner.loseNextResponse!('charge', trial.orderId);
      await assertFails(trial.charge(), unavailable);
      await trial.charge();
      await trial.assertEffects({ charges: 1, refunds: 0 });
    },
  ),

  promise('rejects a second charge of an order with another amount', {}, async (trial, { amount }) => {
    await trial.charge();
    const other = { ...amount, value: amount.value + 100 };
    await assertFails(trial.charge({ amount: other }), { type: 'RejectedByExternalSystem', isFinal: true });
    await trial.assertEffects({ charges: 1, refunds: 0 });
  }),

  promise('reports a declined card as CardDeclined, also when the charge is repeated', { card: 'declined' }, declines),
  promise('reports an unknown card as CardDeclined', { card: 'unknown' }, async (trial, { cards }) => {
    await assertFails(trial.charge({ token: cards.unknown }), { type: 'CardDeclined', isFinal: true });
    await trial.assertEffects({ charges: 0, refunds: 0 });
  }),
  promise(
    'reports a card without enough money as InsufficientFunds',
    { card: 'insufficientFunds' },
    async (trial, { cards }) => {
      const rejection = { type: 'InsufficientFunds', isFinal: true };
      await assertFails(trial.charge({ token: cards.insufficientFunds }), rejection);
      await trial.assertEffects({ charges: 0, refunds: 0 });
    },
  ),
  promise('voids an order whose card was declined', { card: 'declined' }, async (trial, { cards }) => {
    await assertFails(trial.charge({ token: cards.declined }), { type: 'CardDeclined', isFinal: true });
    assert.equal(await trial.refund(), 'voided');
  }),

  promise('refunds a charge once when the refund is repeated', {}, async (trial) => {
    await trial.charge();
    assert.equal(await trial.refund(), 'refunded');
    assert.equal(await trial.refund(), 'refunded');
    await trial.assertEffects({ charges: 1, refunds: 1 });
  }),

  promise(
    'refunds a charge once when the response to the refund is lost',
    { provocations: ['loseNextResponse'] },
    async (trial, partner) => {
      await trial.charge();
      await partner.loseNextResponse!('refund', trial.orderId);
      await assertFails(trial.refund(), unavailable);
      assert.equal(await trial.refund(), 'refunded');
      await trial.assertEffects({ charges: 1, refunds: 1 });
    },
  ),

  promise(
    'refunds a charge whose response was lost',
    { provocations: ['loseNextResponse'] },
    async (trial, partner) => {
      await partner.loseNextResponse!('charge', trial.orderId);
      await assertFails(trial.charge(), unavailable);
      assert.equal(await trial.refund(), 'refunded');
      await trial.assertEffects({ charges: 1, refunds: 1 });
    },
  ),

  promise('voids an order that was not charged, and rejects a later charge', {}, async (trial) => {
    assert.equal(await trial.refund(), 'voided');
    assert.equal(await trial.refund(), 'voided');
    await assertFails(trial.charge(), voided);
    await trial.assertEffects({ charges: 0, refunds: 0 });
  }),

  promise(
    'moves no money for a charge that arrives after the void',
    { provocations: ['holdCharge'] },
    async (trial, partner) => {
      const held = await partner.holdCharge!(trial.orderId);
      await cancelHeldAttempt(held, (env) => trial.charge({ env }));
      assert.equal(await trial.refund(), 'voided');
      await held.release();
      await trial.assertEffects({ charges: 0, refunds: 0 });
    },
  ),

  promise(
    'charges an order once when the order is older than the retention of keys',
    { provocations: ['expireKeys'] },
    async (trial) => {
      const first = await trial.charge();
      await trial.expireKeys();
      assert.deepEqual(await trial.charge(), first, 'the result of the repeated charge');
      await trial.assertEffects({ charges: 1, refunds: 0 });
    },
  ),

  promise('charges an old order that was never charged', { provocations: ['expireKeys'] }, async (trial) => {
    await trial.expireKeys();
    await trial.charge();
    await trial.assertEffects({ charges: 1, refunds: 0 });
  }),

  promise('rejects another amount for an old order', { provocations: ['expireKeys'] }, async (trial, { amount }) => {
    await trial.charge();
    await trial.expireKeys();
    const other = { ...amount, value: amount.value + 100 };
    await assertFails(trial.charge({ amount: other }), { type: 'RejectedByExternalSystem', isFinal: true });
    await trial.assertEffects({ charges: 1, refunds: 0 });
  }),

  promise(
    'refunds an order once when the order is older than the retention of keys',
    { provocations: ['expireKeys'] },
    async (trial) => {
      await trial.charge();
      await trial.expireKeys();
      assert.equal(await trial.refund(), 'refunded');
      await trial.expireKeys();
      assert.equal(await trial.refund(), 'refunded');
      await assertFails(trial.charge(), voided);
      await trial.assertEffects({ charges: 1, refunds: 1 });
    },
  ),

  promise('keeps a void after the retention of keys', { provocations: ['expireKeys'] }, async (trial) => {
    assert.equal(await trial.refund(), 'voided');
    await trial.expireKeys();
    assert.equal(await trial.refund(), 'voided');
    await assertFails(trial.charge(), voided);
    await trial.assertEffects({ charges: 0, refunds: 0 });
  }),

  ...(['charge', 'refund'] as const).flatMap((operation) => [
    promise(
      `reports a rate limit during a ${operation} as unavailable, with the delay of Retry-After`,
      { provocations: ['failNextRequest'] },
      async (trial, partner) => {
        if (operation === 'refund') await trial.charge();
        await partner.failNextRequest!(operation, trial.orderId, { status: 429, retryAfter: '7' });
        const failure = await assertFails(trial[operation](), unavailable);
        assert.equal(failure.nextRetryDelay, 7_000, 'the retry delay');
        await trial[operation]();
      },
    ),
    promise(
      `survives an error of the partner during a ${operation}`,
      { provocations: ['failNextRequest'] },
      async (trial, partner) => {
        if (operation === 'refund') await trial.charge();
        for (const status of [500, 503]) {
          await partner.failNextRequest!(operation, trial.orderId, { status });
          await assertFails(trial[operation](), unavailable);
        }
        await trial[operation]();
        await trial.assertEffects({ charges: 1, refunds: operation === 'refund' ? 1 : 0 });
      },
    ),
    promise(
      `repeats a ${operation} whose response has an unknown format`,
      { provocations: ['garbleNextResponse'] },
      async (trial, partner) => {
        if (operation === 'refund') await trial.charge();
        await partner.garbleNextResponse!(operation, trial.orderId);
        await assertFails(trial[operation](), unavailable);
        await trial[operation]();
        await trial.assertEffects({ charges: 1, refunds: operation === 'refund' ? 1 : 0 });
      },
    ),
  ]),

  promise(
    'reports wrong credentials as misconfigured, so that an operator can correct them',
    { provocations: ['failNextRequest'] },
    async (trial, partner) => {
      await partner.failNextRequest!('charge', trial.orderId, { status: 401 });
      await assertFails(trial.charge(), { type: 'PaymentGatewayMisconfigured', isFinal: false });
      await trial.charge();
    },
  ),

  promise(
    'ends an attempt in time when the partner does not respond',
    { provocations: ['holdCharge'] },
    async (trial, partner) => {
      const held = await partner.holdCharge!(trial.orderId);
      await assertTimesOut(() => trial.charge(), unavailable).finally(() => held.release());
      await trial.charge();
      await trial.assertEffects({ charges: 1, refunds: 0 });
    },
  ),

  promise('finds no payment of an order that was not charged', {}, async (trial) => {
    assert.deepEqual(await trial.findPayment(() => true), { charge: null, refund: null });
  }),

  promise('finds the charge and the refund of an order', {}, async (trial, { amount }) => {
    const { chargeId } = await trial.charge();
    const charged = await trial.findPayment(({ charge }) => charge !== null);
    assert.deepEqual(charged.charge, { chargeId, status: 'succeeded', amount });
    assert.equal(charged.refund, null);
    await trial.refund();
    const refunded = await trial.findPayment(({ refund }) => refund !== null);
    assert.equal(refunded.refund?.status, 'refunded');
  }),

  promise('finds the order of a charge, for disputes', { findOrderId: true }, async (trial) => {
    const { chargeId } = await trial.charge();
    assert.equal(await trial.findOrderId!(chargeId), trial.orderId);
  }),

  promise('finds no order of a charge that the provider does not have', { findOrderId: true }, async (trial) => {
    const { chargeId } = await trial.charge();
    const unknownId = `${chargeId.slice(0, -6)}000000`;
    assert.equal(await trial.findOrderId!(unknownId), undefined);
  }),

  promise('lists charges for the audit, also in pages', {}, async (trial, { amount }) => {
    const { chargeId } = await trial.charge();
    const charge = { chargeId, orderId: trial.orderId, amount, status: 'succeeded' };
    assert.deepEqual(await trial.listCharges(3), [{ ...charge, refunded: false }]);
    await trial.refund();
    assert.deepEqual(await trial.listCharges(100), [{ ...charge, refunded: true }]);
  }),

  ...eventCases,
];

async function declines(trial: Trial, { cards }: PaymentPartner): Promise<void> {
  for (let attempt = 1; attempt <= 2; attempt += 1)
    await assertFails(trial.charge({ token: cards.declined }), { type: 'CardDeclined', isFinal: true });
  await trial.assertEffects({ charges: 0, refunds: 0 });
}
