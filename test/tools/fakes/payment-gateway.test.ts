import { describe, expect, test } from 'vitest';
import { amount, newOrderId, startFakesWithClient } from '../../support/fakes/fakes-client.js';

describe('the fake payment gateway', () => {
  test('returns the first response for a repeated charge, and charges only once', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();

    const first = await fakes.charge(orderId);
    const again = await Promise.all([fakes.charge(orderId), fakes.charge(orderId)]);

    expect(first).toEqual({
      status: 201,
      body: { chargeId: expect.stringMatching(/^ch_/), status: 'succeeded', amount },
    });
    expect(again).toEqual([first, first]);
    expect(fakes.records(orderId).charges).toEqual([
      { orderId, key: `${orderId}/charge`, chargeId: first.body['chargeId'], amount, status: 'succeeded' },
    ]);
  });

  test('a different body with the same key is rejected and has no effect', async () => {
    const fakes = await startFakesWithClient();
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.charge(orderId);
    await fakes.refund(orderId);
    await fakes.ship(orderId);
    await fakes.cancel(orderId);
    const before = fakes.ledger.records();

    const responses = [
      await fakes.charge(orderId, { value: 5 }),
      await fakes.refund(other, { key: `${orderId}/refund` }),
      await fakes.ship(orderId, { sku: 'another' }),
      await fakes.cancel(other, { key: `${orderId}/cancellation` }),
    ];

    const mismatch = { status: 422, body: { error: { code: 'idempotency_mismatch', message: expect.any(String) } } };
    expect(responses).toEqual([mismatch, mismatch, mismatch, mismatch]);
    expect(fakes.ledger.records()).toEqual(before);
  });

  test.each([
    ['tok_declined', 402, 'card_declined', ['declined']],
    ['tok_insufficient_funds', 402, 'insufficient_funds', ['declined']],
    ['tok_gateway_down', 503, 'gateway_unavailable', []],
    ['tok_unheard_of', 400, 'unknown_token', []],
    ['constructor', 400, 'unknown_token', []],
  ])('for a payment with %s, returns %i %s each time and charges nothing', async (token, status, code, charges) => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();

    const responses = [await fakes.charge(orderId, { token }), await fakes.charge(orderId, { token })];

    const expected = { status, body: { error: { code, message: expect.any(String) } } };
    expect(responses).toEqual([expected, expected]);
    expect(fakes.records(orderId).charges.map((charge) => charge.status)).toEqual(charges);
  });

  test('refunds the whole amount once per key, and returns the refund by order id', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    const unknown = await fakes.payment(orderId);
    const { body: charge } = await fakes.charge(orderId);
    const charged = await fakes.payment(orderId);

    const first = await fakes.refund(orderId);
    const again = await fakes.refund(orderId);
    const refunded = await fakes.payment(orderId);
    // A caller that loses its key refunds twice. To prevent this, the caller can look up refunds by order id.
    await fakes.refund(orderId, { key: 'another' });

    expect(first).toEqual({
      status: 201,
      body: { refundId: expect.stringMatching(/^re_/), status: 'refunded', amount },
    });
    expect(again).toEqual(first);
    expect([unknown, charged, refunded]).toEqual([
      { status: 200, body: { charge: null, refund: null } },
      { status: 200, body: { charge, refund: null } },
      { status: 200, body: { charge, refund: first.body } },
    ]);
    expect(fakes.records(orderId).refunds).toMatchObject([
      { orderId, key: `${orderId}/refund`, ...first.body },
      { orderId, key: 'another', status: 'refunded', amount },
    ]);
  });

  test('treats a call with an expired key as new, and still finds the order', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    const first = await fakes.charge(orderId);
    expect(await fakes.charge(orderId)).toEqual(first);

    expect(await fakes.test('PUT', 'idempotency-keys', { retentionSeconds: 0 })).toMatchObject({
      status: 200,
      body: { retentionSeconds: 0 },
    });
    await fakes.charge(orderId);
    await fakes.ship(orderId);
    await fakes.ship(orderId);

    expect(fakes.records(orderId)).toMatchObject({
      charges: [
        { key: `${orderId}/charge`, chargeId: first.body['chargeId'], status: 'succeeded' },
        { key: `${orderId}/charge`, status: 'succeeded' },
      ],
      shipments: [{ key: `${orderId}/shipment` }, { key: `${orderId}/shipment` }],
    });
    const { chargeId } = fakes.records(orderId).charges[1]!;
    expect((await fakes.payment(orderId)).body).toMatchObject({ charge: { chargeId }, refund: null });

    await fakes.test('PUT', 'idempotency-keys', { retentionSeconds: null });
    expect((await fakes.charge(orderId)).body).toMatchObject({ chargeId });
    expect(fakes.records(orderId).charges).toHaveLength(2);
  });

  test('rejects a charge and a shipment that were voided, even after the idempotency keys expire', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.idempotencyKeys.retentionSeconds = 0;

    expect(await fakes.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
    expect(await fakes.cancel(orderId)).toEqual({ status: 200, body: { status: 'voided' } });

    expect(await fakes.charge(orderId)).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(await fakes.ship(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'shipment_cancelled' } },
    });
    expect((await fakes.payment(orderId)).body).toEqual({ charge: null, refund: { status: 'voided' } });
  });

  test('when a refund arrives before the charge, voids the order and rejects the late charge', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();

    const refunds = [await fakes.refund(orderId), await fakes.refund(orderId)];
    const late = await fakes.charge(orderId);
    const afterwards = await fakes.refund(orderId);

    const voided = { status: 200, body: { status: 'voided' } };
    expect([...refunds, afterwards]).toEqual([voided, voided, voided]);
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(fakes.records(orderId).charges).toEqual([]);
  });

  test('voids a declined charge when it is refunded', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    await fakes.charge(orderId, { token: 'tok_declined' });

    expect(await fakes.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
  });

  test.each([
    ['no idempotency key', undefined, { orderId: 'o', amount, token: 'tok_ok' }, 'idempotency_key_required'],
    ['an unknown field', 'k', { orderId: 'o', amount, token: 'tok_ok', tip: 1 }, 'invalid_request'],
    ['an amount of zero', 'k', { orderId: 'o', amount: { ...amount, value: 0 }, token: 'tok_ok' }, 'invalid_request'],
    ['an empty order id', 'k', { orderId: '', amount, token: 'tok_ok' }, 'invalid_request'],
    ['an array as its body', 'k', [], 'invalid_request'],
  ])('a charge with %s returns 400 and has no effect', async (_description, key, body, code) => {
    const fakes = await startFakesWithClient();

    const response = await fakes.post('/payments/charges', key, body);

    expect(response).toEqual({ status: 400, body: { error: { code, message: expect.any(String) } } });
    expect(fakes.records().charges).toEqual([]);
  });
});
