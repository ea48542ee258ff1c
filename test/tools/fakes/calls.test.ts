import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { amount, deadline, newOrderId, startFakesWithClient } from '../../support/fakes/fakes-client.js';

describe('fault injection of the fake partners', () => {
  test.each([
    ['lose-response', 1],
    ['unreachable', 0],
  ] as const)('with the fault %s, breaks the connection after %i effects', async (fault, effects) => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    await fakes.test('POST', 'faults', { on: 'charge', orderId, fault });

    await expect(fakes.charge(orderId)).rejects.toThrow('fetch failed');
    expect(fakes.records(orderId).charges).toHaveLength(effects);

    expect(await fakes.charge(orderId)).toMatchObject({ status: 201 });
    const { charges, requests } = fakes.records(orderId);
    expect(charges).toHaveLength(1);
    const request = {
      at: expect.any(String),
      method: 'POST',
      path: '/payments/charges',
      orderId,
      idempotencyKey: `${orderId}/charge`,
      body: { orderId, amount, token: 'tok_ok' },
    };
    expect(requests).toEqual([
      { ...request, status: null, fault },
      { ...request, status: 201 },
    ]);
  });

  test('with the fault error, requests return an error status and have no effect, as often as configured', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'refund', fault: 'error', status: 500, times: 2 });

    const responses = [await fakes.refund(orderId), await fakes.refund(orderId)];

    expect(responses.map(({ status }) => status)).toEqual([500, 500]);
    expect(fakes.records(orderId).refunds).toEqual([]);
    expect(await fakes.refund(orderId)).toMatchObject({ status: 200 });
  });

  test('with the fault malformed, applies the effect but returns an unexpected body', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'shipment', orderId, fault: 'malformed' });

    expect(await fakes.ship(orderId)).toEqual({ status: 200, body: { unexpected: 'shape' } });
    expect(fakes.records(orderId).shipments).toHaveLength(1);
  });

  test('with the fault slow, applies the effect immediately and responds after the delay', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 100 });
    fakes.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 600_000 });
    const started = performance.now();

    expect(await fakes.charge(orderId)).toMatchObject({ status: 201 });
    expect(performance.now() - started).toBeGreaterThanOrEqual(99);

    const unanswered = fakes.charge(orderId, { key: 'another' });
    await vi.waitFor(() => expect(fakes.records(orderId).charges).toHaveLength(2), deadline);
    expect(fakes.records(orderId).requests.at(-1)).toMatchObject({ status: null, fault: 'slow' });
    await fakes.close();
    expect(await unanswered).toMatchObject({ status: 201 });
  });

  test('ignores deleted faults and faults for a different call or order', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', fault: 'error', times: -1 });
    expect((await fakes.charge(orderId)).status).toBe(503);
    expect((await fakes.charge(orderId)).status).toBe(503);
    await fakes.test('DELETE', 'faults');
    fakes.faults.add({ on: 'refund', orderId, fault: 'error' });
    fakes.faults.add({ on: 'charge', orderId: 'another', fault: 'error' });

    expect((await fakes.charge(orderId)).status).toBe(201);
  });

  test('returns 400 for an unknown fault', async () => {
    const fakes = await startFakesWithClient();

    const response = await fakes.test('POST', 'faults', { on: 'charge', fault: 'explode' });

    expect(response).toEqual({
      status: 400,
      body: { error: { code: 'invalid_request', message: expect.stringContaining('fault') } },
    });
  });

  test('fails tracking requests and rejects cancellations as configured', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    await fakes.ship(orderId);
    await fakes.test('POST', 'faults', { on: 'tracking', orderId, fault: 'error', times: 2 });
    const tooLate = { fault: 'error', status: 409, code: 'already_picked_up' };
    await fakes.test('POST', 'faults', { on: 'cancellation', orderId, ...tooLate });
    await fakes.test('POST', 'faults', { on: 'payment', orderId, fault: 'unreachable' });

    expect([await fakes.track(orderId), await fakes.track(orderId)]).toMatchObject([{ status: 503 }, { status: 503 }]);
    expect(await fakes.track(orderId)).toMatchObject({ status: 200, body: { status: 'accepted' } });
    expect(await fakes.cancel(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'already_picked_up' } },
    });
    await expect(fakes.payment(orderId)).rejects.toThrow('fetch failed');
    expect(await fakes.payment(orderId)).toMatchObject({ status: 200 });
  });

  test('returns an HTML page with Retry-After as configured', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 503, code: null, retryAfter: '7' });

    const response = await fetch(`${fakes.base}/payments/charges`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: JSON.stringify({ orderId, amount, token: 'tok_ok' }),
    });

    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await response.text()).toContain('<html>');
  });
});

describe('holds of the fake partners', () => {
  test('when the response is held, the effect is recorded on arrival and the response is sent on release', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId);

    const response = fakes.charge(orderId);
    await hold.arrived;
    expect(fakes.records(orderId)).toMatchObject({
      charges: [{ status: 'succeeded' }],
      requests: [{ status: null }],
    });
    await hold.release();

    expect(await response).toMatchObject({ status: 201 });
    expect(await fakes.charge(orderId)).toEqual(await response);
  });

  test('a charge that is voided during its hold is rejected on release', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId, { waitBefore: 'effect' });

    const response = fakes.charge(orderId);
    await hold.arrived;
    expect(fakes.records(orderId).charges).toEqual([]);
    expect(await fakes.refund(orderId)).toMatchObject({ body: { status: 'voided' } });
    await hold.release();

    expect(await response).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
  });

  test.each([
    [true, 1],
    [false, 0],
  ])(
    'when the client disconnects during a held effect, applyAfterDisconnect %s leads to %i effects',
    async (applyAfterDisconnect, effects) => {
      const fakes = await startFakesWithClient();
      const orderId = newOrderId();
      const hold = fakes.hold('charge', orderId, { waitBefore: 'effect', applyAfterDisconnect });
      const client = new AbortController();

      const response = fakes.charge(orderId, { signal: client.signal });
      const aborted = expect(response).rejects.toThrow('aborted');
      await hold.arrived;
      client.abort();
      await aborted;
      await hold.disconnected;
      await hold.release();

      const { charges, requests } = fakes.records(orderId);
      expect(charges).toHaveLength(effects);
      expect(requests).toMatchObject([{ status: null }]);
    },
  );

  test('holds can be read and released over HTTP, and do not block other orders', async () => {
    const fakes = await startFakesWithClient();
    const [orderId, other] = [newOrderId(), newOrderId()];
    const { status, body } = await fakes.test('POST', 'holds', { on: 'shipment', orderId });
    const hold = `holds/${String(body['holdId'])}`;
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { arrived: 0, disconnected: 0, waitBefore: 'response' },
    });

    const response = fakes.ship(orderId);
    await vi.waitFor(async () => expect((await fakes.test('GET', hold)).body).toMatchObject({ arrived: 1 }), deadline);
    expect(await fakes.ship(other)).toMatchObject({ status: 201 });
    expect(await fakes.test('DELETE', hold)).toMatchObject({ status: 204 });

    expect(await response).toMatchObject({ status: 201 });
    expect(await fakes.test('GET', hold)).toMatchObject({ status: 404 });
  });

  test('a held call ends without an effect when the server closes', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId, { waitBefore: 'effect' });

    const broken = expect(fakes.charge(orderId)).rejects.toThrow('fetch failed');
    await hold.arrived;
    await fakes.close();

    await broken;
    expect(fakes.records(orderId).charges).toEqual([]);
  });
});

describe('closing the fake partners', () => {
  test('close does not wait for a connection that never sent a request', async () => {
    const fakes = await startFakesWithClient();
    const accepted = once(fakes.app.server, 'connection');
    const connection = connect(Number(new URL(fakes.base).port), '127.0.0.1');
    await accepted;
    const closed = once(connection, 'close');

    await fakes.close();

    await closed;
  });
});
