import { describe, expect, test } from 'vitest';
import type { ShipmentReport } from '../../../src/schemas/order.js';
import { isShipmentReport } from '../../../src/workflows/order/argument-validation.js';
import { Parcel } from '../../../src/workflows/order/parcel.js';

const makeReport = (overrides: Partial<ShipmentReport> = {}): ShipmentReport => ({
  orderId: 'A1',
  shipmentId: 'sh_1',
  status: 'in_transit',
  ...overrides,
});

/**
 * Applies reports to a parcel with the confirmed shipment `sh_1`. `news` says for each report whether the report
 * changed the status.
 */
function applyReports(reports: ShipmentReport[]) {
  const parcel = new Parcel();
  parcel.setShipmentId('sh_1');
  const news = reports.map((report) => parcel.applyReport(report));
  return { parcel, news };
}

describe('isShipmentReport', () => {
  test.each(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'] as const)(
    'isShipmentReport accepts a report with status %s',
    (status) => {
      expect(isShipmentReport(makeReport({ status }), 'A1')).toBe(true);
    },
  );

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'delivered'],
    ['a number', 7],
    ['an empty object', {}],
    ['an array', [makeReport()]],
    ['an object without a shipment id', { orderId: 'A1', status: 'delivered' }],
    ['a number as shipment id', { ...makeReport(), shipmentId: 1 }],
    ['an unknown status', { ...makeReport(), status: 'requested' }],
    ['a status that is a property of every object', { ...makeReport(), status: 'constructor' }],
    ['a report for another order', makeReport({ orderId: 'A2' })],
  ])('isShipmentReport rejects %s', (_description, value) => {
    expect(isShipmentReport(value, 'A1')).toBe(false);
  });
});

describe('Parcel', () => {
  test('a repeated or an outdated report does not change the status of a parcel', () => {
    const all = (['accepted', 'in_transit', 'delivered'] as const).map((status) => makeReport({ status }));
    expect(applyReports([...all, ...all]).news).toEqual([true, true, true, false, false, false]);
    expect(applyReports([...all].reverse())).toMatchObject({
      parcel: { status: 'delivered' },
      news: [true, false, false],
    });
    expect(applyReports([all[1]!, all[0]!, all[2]!]).news).toEqual([true, false, true]);
  });

  test('a parcel without reports has not left and has no final status', () => {
    const { parcel } = applyReports([]);

    expect(parcel).toMatchObject({ status: 'requested', hasLeft: false, isFinal: false });
  });

  test.each([
    ['accepted', false, false],
    ['in_transit', true, false],
    ['delivered', true, true],
    ['lost', true, true],
    ['cancelled', false, true],
  ] as const)('a parcel with status %s has hasLeft %s and isFinal %s', (status, hasLeft, isFinal) => {
    const { parcel, news } = applyReports([makeReport({ status })]);

    expect(parcel).toMatchObject({ status, hasLeft, isFinal });
    expect(news).toEqual([true]);
  });

  test.each([
    ['twice', ['in_transit', 'in_transit'], [true, false], 'in_transit'],
    ['in order', ['in_transit', 'delivered'], [true, true], 'delivered'],
    ['out of order', ['delivered', 'in_transit'], [true, false], 'delivered'],
    ['as delivered, then as lost', ['delivered', 'lost'], [true, false], 'delivered'],
    ['as lost, then as delivered', ['lost', 'delivered'], [true, false], 'lost'],
  ] as const)('a parcel keeps the first final status if reports arrive %s', (_description, statuses, news, status) => {
    const seen = applyReports(statuses.map((reported) => makeReport({ status: reported })));

    expect(seen.news).toEqual(news);
    expect(seen.parcel.status).toBe(status);
  });

  test('a parcel ignores and counts a report about another shipment', () => {
    const { parcel, news } = applyReports([makeReport({ shipmentId: 'sh_2' })]);

    expect(news).toEqual([false]);
    expect(parcel).toMatchObject({ shipmentId: 'sh_1', status: 'requested', ignoredReportCount: 1 });
  });

  test('dropEarlyReports drops and counts the reports that arrived before the shipment id', () => {
    const parcel = new Parcel();
    const isNews = parcel.applyReport(makeReport({ status: 'delivered' }));
    parcel.dropEarlyReports();

    expect(isNews).toBe(false);
    expect(parcel).toMatchObject({ status: 'requested', hasLeft: false, ignoredReportCount: 1 });
  });

  test('setShipmentId applies the early reports about this shipment and counts the other reports as ignored', () => {
    const parcel = new Parcel();
    const early = [makeReport(), makeReport({ shipmentId: 'sh_2', status: 'lost' })].map((report) =>
      parcel.applyReport(report),
    );
    const before = parcel.status;
    const isNews = parcel.setShipmentId('sh_1');

    expect(early).toEqual([false, false]);
    expect(before).toBe('requested');
    expect(isNews).toBe(true);
    expect(parcel).toMatchObject({ shipmentId: 'sh_1', status: 'in_transit', hasLeft: true, ignoredReportCount: 1 });
  });

  test('a parcel keeps at most ten early reports and counts all ignored reports', () => {
    const parcel = new Parcel();
    for (let count = 0; count < 12; count += 1) parcel.applyReport(makeReport({ shipmentId: 'sh_2' }));
    parcel.setShipmentId('sh_1');

    expect(parcel.ignoredReportCount).toBe(12);
  });
});
