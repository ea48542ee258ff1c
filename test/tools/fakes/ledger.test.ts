import { appendFileSync, readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { buildFakes } from '../../../tools/fakes/app.js';
import { deadline, makeLedgerPath, newOrderId, startFakesWithClient } from '../../support/fakes/fakes-client.js';
import { startWebhookShop } from '../../support/fakes/webhook-shop.js';

describe('the ledger of the fake partners', () => {
  test('the ledger keeps all responses after a restart, even after a torn write', async () => {
    const ledgerFile = makeLedgerPath();
    const [orderId, voided] = [newOrderId(), newOrderId()];
    const first = await startFakesWithClient({ ledgerFile });
    const before = [
      await first.charge(orderId),
      await first.refund(orderId),
      await first.refund(voided),
      await first.ship(orderId),
      await first.cancel(orderId),
    ];
    const statement = first.ledger.records();
    await first.close();
    appendFileSync(ledgerFile, '{"type":"charge","charge":{"key":"to');

    const second = await startFakesWithClient({ ledgerFile });
    expect(second.ledger.records()).toEqual(statement);
    const after = [
      await second.charge(orderId),
      await second.refund(orderId),
      await second.refund(voided),
      await second.ship(orderId),
      await second.cancel(orderId),
    ];
    expect(after).toEqual(before);
    expect(await second.charge(orderId, { value: 5 })).toMatchObject({ status: 422 });
    expect(await second.charge(voided)).toMatchObject({ status: 409 });
    const another = await second.charge(newOrderId());
    await second.close();

    const third = await startFakesWithClient({ ledgerFile });
    expect(third.records().charges.map((charge) => charge.chargeId)).toEqual([
      before[0]?.body['chargeId'],
      another.body['chargeId'],
    ]);
  });

  test('fails to open a journal with a damaged line, and reports the line number', async () => {
    const ledgerFile = makeLedgerPath();
    appendFileSync(ledgerFile, 'not an entry\n{"type":"reportSettled","reportId":"r","state":"delivered"}\n');

    expect(() => buildFakes({ ledgerFile })).toThrow(/ledger\.jsonl is damaged at line 1/);
  });

  test('the ledger contains an effect before the response is sent', async () => {
    const ledgerFile = makeLedgerPath();
    const fakes = await startFakesWithClient({ ledgerFile });
    const orderIds = Array.from({ length: 20 }, newOrderId);

    await Promise.all(
      orderIds.map(async (orderId) => {
        const { body } = await fakes.charge(orderId);
        expect(readFileSync(ledgerFile, 'utf8')).toContain(String(body['chargeId']));
      }),
    );
  });

  test('continues deliveries and pending reports after a restart', async () => {
    const ledgerFile = makeLedgerPath();
    const orderId = newOrderId();
    const first = await startFakesWithClient({ ledgerFile });
    await first.ship(orderId);
    await first.carrier.reportNow(orderId, 'in_transit');
    const reportId = first.records(orderId).reports[0]?.reportId;
    await first.close();

    const shop = await startWebhookShop();
    const second = await startFakesWithClient({
      ledgerFile,
      callbackUrl: shop.url,
      autoDeliver: true,
      deliverySeconds: 0,
    });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(shop.received[0]?.headers['webhook-id']).toBe(reportId);
    await vi.waitFor(
      () => expect(second.records(orderId).reports.every((report) => report.state === 'delivered')).toBe(true),
      deadline,
    );
    await second.close();

    const third = await startFakesWithClient({ ledgerFile, callbackUrl: shop.url, autoDeliver: true });
    const other = newOrderId();
    await third.ship(other);
    await third.carrier.reportNow(other, 'lost');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered', 'lost']);
  });
});
