import { Webhook } from 'standardwebhooks';
import { describe, expect, test, vi } from 'vitest';
import { deadline, lines, newOrderId, startFakesWithClient, webhookSecret } from '../../support/fakes/fakes-client.js';
import { startWebhookShop } from '../../support/fakes/webhook-shop.js';

describe('the fake carrier', () => {
  test('creates one parcel for a repeated shipment and returns the first response, even after the parcel moved', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const orderId = newOrderId();

    const first = await fakes.ship(orderId);
    await fakes.carrier.reportNow(orderId, 'in_transit');
    const again = await fakes.ship(orderId);

    expect(first).toEqual({ status: 201, body: { shipmentId: expect.stringMatching(/^sh_/), status: 'accepted' } });
    expect(again).toEqual(first);
    expect(fakes.records(orderId).shipments).toEqual([
      { orderId, key: `${orderId}/shipment`, shipmentId: first.body['shipmentId'], lines, status: 'in_transit' },
    ]);
  });

  test('returns the status of a parcel, and 404 for an unknown parcel', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();

    const before = await fakes.track(orderId);
    const { body } = await fakes.ship(orderId);
    await fakes.carrier.reportNow(orderId, 'in_transit');

    expect(before).toMatchObject({ status: 404, body: { error: { code: 'unknown_shipment' } } });
    expect(await fakes.track(orderId)).toEqual({
      status: 200,
      body: { shipmentId: body['shipmentId'], status: 'in_transit' },
    });
  });

  test('never moves a parcel that was cancelled before pickup', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.test('PUT', 'carrier', { autoDeliver: true, pickupSeconds: 0.5, deliverySeconds: 0.5 });
    const { body } = await fakes.ship(orderId);

    const responses = [
      await fakes.cancel(orderId),
      await fakes.cancel(orderId),
      await fakes.cancel(orderId, { key: 'another' }),
    ];
    await fakes.ship(other);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const cancelled = { status: 200, body: { status: 'cancelled', shipmentId: body['shipmentId'] } };
    expect(responses).toEqual([cancelled, cancelled, cancelled]);
    expect(shop.received.map(({ body }) => (JSON.parse(body) as { orderId: string }).orderId)).toEqual([other, other]);
    expect(fakes.records(orderId)).toMatchObject({
      shipments: [{ status: 'cancelled' }],
      cancellations: [{ orderId, key: `${orderId}/cancellation`, status: 'cancelled' }],
      reports: [],
    });
  });

  test.each(['in_transit', 'delivered', 'lost'] as const)(
    'returns 409 for the cancellation of a parcel with status %s',
    async (status) => {
      const shop = await startWebhookShop();
      const fakes = await startFakesWithClient({ callbackUrl: shop.url });
      const orderId = newOrderId();
      await fakes.ship(orderId);
      await fakes.carrier.reportNow(orderId, status);

      const responses = [await fakes.cancel(orderId), await fakes.cancel(orderId)];

      const rejected = { status: 409, body: { error: { code: 'already_picked_up', message: expect.any(String) } } };
      expect(responses).toEqual([rejected, rejected]);
      expect(fakes.records(orderId)).toMatchObject({ shipments: [{ status }], cancellations: [] });
    },
  );

  test('when a cancellation arrives before the shipment, voids the order and rejects the late shipment', async () => {
    const fakes = await startFakesWithClient();
    const orderId = newOrderId();

    const cancelled = await fakes.cancel(orderId);
    const late = await fakes.ship(orderId);

    expect(cancelled).toEqual({ status: 200, body: { status: 'voided' } });
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'shipment_cancelled' } } });
    expect(fakes.records(orderId).shipments).toEqual([]);
  });

  test('sends signed reports of an automatic delivery in order, even if the callback URL is set later', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0.05 });
    const orderId = newOrderId();
    const { body } = await fakes.ship(orderId);
    await vi.waitFor(() => expect(fakes.records(orderId).reports).toHaveLength(2), deadline);
    expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['pending', 'pending']);

    fakes.setCallbackUrl(shop.url);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const verified = shop.received.map(({ body, headers }) => new Webhook(webhookSecret).verify(body, headers));
    const { shipmentId } = body;
    expect(verified).toEqual([
      { orderId, shipmentId, status: 'in_transit' },
      { orderId, shipmentId, status: 'delivered' },
    ]);
    await vi.waitFor(
      () => expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['delivered', 'delivered']),
      deadline,
    );
  });

  test('retries a failed report with the same id before it sends the next report', async () => {
    const shop = await startWebhookShop([503, 404, 302]);
    const fakes = await startFakesWithClient({
      callbackUrl: shop.url,
      autoDeliver: true,
      pickupSeconds: 0,
      deliverySeconds: 0,
    });
    await fakes.ship(newOrderId());

    await vi.waitFor(() => expect(shop.received).toHaveLength(5), deadline);

    expect(shop.received.map(({ status }) => status)).toEqual([
      'in_transit',
      'in_transit',
      'in_transit',
      'in_transit',
      'delivered',
    ]);
    const ids = shop.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids.slice(0, 4)).size).toBe(1);
    expect(ids[4]).not.toBe(ids[0]);
  });

  test('drops a report on an unknown order after the time limit, and sends the next report', async () => {
    const shop = await startWebhookShop([503, 503, 404]);
    const fakes = await startFakesWithClient({ callbackUrl: shop.url, unknownOrderTimeoutSeconds: 0 });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    expect(await fakes.carrier.reportNow(orderId, 'in_transit')).toEqual({ delivered: false, status: 503 });
    await vi.waitFor(() => expect(fakes.records(orderId).reports[0]?.state).toBe('given_up'), deadline);
    expect(shop.received).toHaveLength(3);

    expect(await fakes.carrier.reportNow(orderId, 'delivered')).toEqual({ delivered: true, status: 202 });
    expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['given_up', 'delivered']);
  });

  test('sends one webhook for each requested report, including duplicates and reports out of order', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    const responses = [];
    for (const status of ['delivered', 'delivered', 'in_transit']) {
      responses.push(await fakes.test('POST', `shipments/${orderId}`, { status }));
    }

    const delivered = { status: 202, body: { delivered: true, status: 202 } };
    expect(responses).toEqual([delivered, delivered, delivered]);
    expect(shop.received.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'in_transit']);
    expect(new Set(shop.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(fakes.records(orderId).shipments[0]?.status).toBe('delivered');
  });

  test('keeps its reports while it is silent, and sends them afterwards', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const orderId = newOrderId();
    const moves = { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 };
    await fakes.test('PUT', 'carrier', { orderId, silent: true, ...moves });
    await fakes.ship(orderId);

    await vi.waitFor(
      async () => expect((await fakes.track(orderId)).body).toMatchObject({ status: 'delivered' }),
      deadline,
    );
    expect(fakes.records(orderId).reports.map(({ state }) => state)).toEqual(['pending', 'pending']);
    expect(shop.received).toEqual([]);

    await fakes.test('PUT', 'carrier', { orderId, silent: false });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
  });

  test('cancels a parcel on request, and returns this status for tracking and for a later cancellation', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const orderId = newOrderId();
    const { body } = await fakes.ship(orderId);

    await fakes.test('POST', `shipments/${orderId}`, { status: 'cancelled' });

    expect(shop.received.map(({ status }) => status)).toEqual(['cancelled']);
    expect((await fakes.track(orderId)).body).toEqual({ shipmentId: body['shipmentId'], status: 'cancelled' });
    expect((await fakes.cancel(orderId)).body).toMatchObject({ status: 'cancelled' });
  });

  test('on request, sends reports with a wrong parcel id, an unknown status or extra fields; the parcel does not change', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const [orderId, withoutParcel] = [newOrderId(), newOrderId()];
    const { body } = await fakes.ship(orderId);

    await fakes.test('POST', `shipments/${orderId}`, { status: 'delivered', shipmentId: 'sh_other' });
    await fakes.test('POST', `shipments/${withoutParcel}`, { status: 'in_transit', shipmentId: 'sh_early' });
    await fakes.test('POST', `shipments/${orderId}`, { status: 'out_for_delivery', extra: { depot: 'B12' } });

    expect(shop.received.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { orderId, shipmentId: 'sh_other', status: 'delivered' },
      { orderId: withoutParcel, shipmentId: 'sh_early', status: 'in_transit' },
      { orderId, shipmentId: body['shipmentId'], status: 'out_for_delivery', depot: 'B12' },
    ]);
    expect((await fakes.track(orderId)).body).toMatchObject({ status: 'accepted' });
  });

  test('returns the result of a failed report to the caller, and retries the report', async () => {
    const shop = await startWebhookShop([503]);
    const fakes = await startFakesWithClient({ callbackUrl: shop.url });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    const response = await fakes.test('POST', `shipments/${orderId}`, { status: 'lost' });

    expect(response).toEqual({ status: 202, body: { delivered: false, status: 503 } });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received[0]?.headers['webhook-id']).toBe(shop.received[1]?.headers['webhook-id']);
  });

  test('uses the pickup and delivery times that are set for one order', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakesWithClient({ callbackUrl: shop.url, deliverySeconds: 600 });
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.ship(other);
    await fakes.ship(orderId);

    const response = await fakes.test('PUT', 'carrier', { orderId, autoDeliver: true, pickupSeconds: 0 });
    await vi.waitFor(() => expect(shop.received).toHaveLength(1), deadline);
    const inBetween = fakes.records(orderId).shipments[0]?.status;
    fakes.carrier.configure({ deliverySeconds: 0 }, orderId);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(response).toEqual({
      status: 200,
      body: { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 600, silent: false },
    });
    expect(inBetween).toBe('in_transit');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(fakes.records(other).shipments[0]?.status).toBe('accepted');
  });
});
