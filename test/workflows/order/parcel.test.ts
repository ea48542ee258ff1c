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

/** A parcel whose shipment `sh_1` the carrier has confirmed, after the given reports, and whether each was news. */
function applyReports(reports: ShipmentReport[]) {
  const parcel = new Parcel();
  parcel.setShipmentId('sh_1');
  const news = reports.map((report) => parcel.applyReport(report));
  return { parcel, news };
}

describe('isShipmentReport', () => {
  test.each(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'] as const)(
    'accepts a report of %s',
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
  ])('rejects %s', (_description, value) => {
    expect(isShipmentReport(value, 'A1')).toBe(false);
  });
});

describe('Parcel', () => {
  test('takes each report as news once and never goes back, in any order', () => {
    const all = (['accepted', 'in_transit', 'delivered'] as const).map((status) => makeReport({ status }));
    expect(applyReports([...all, ...all]).news).toEqual([true, true, true, false, false, false]);
    expect(applyReports([...all].reverse())).toMatchObject({
      parcel: { status: 'delivered' },
      news: [true, false, false],
    });
    expect(applyReports([all[1]!, all[0]!, all[2]!]).news).toEqual([true, false, true]);
  });

  test('has neither left nor a final status before the first report', () => {
    const { parcel } = applyReports([]);

    expect(parcel).toMatchObject({ status: 'requested', hasLeft: false, isFinal: false });
  });

  test.each([
    ['accepted', false, false],
    ['in_transit', true, false],
    ['delivered', true, true],
    ['lost', true, true],
    ['cancelled', false, true],
  ] as const)('with status %s has hasLeft %s and isFinal %s', (status, hasLeft, isFinal) => {
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
  ] as const)('keeps the first final status if reports come %s', (_description, statuses, news, status) => {
    const seen = applyReports(statuses.map((reported) => makeReport({ status: reported })));

    expect(seen.news).toEqual(news);
    expect(seen.parcel.status).toBe(status);
  });

  test('ignores and counts a report on another shipment', () => {
    const { parcel, news } = applyReports([makeReport({ shipmentId: 'sh_2' })]);

    expect(news).toEqual([false]);
    expect(parcel).toMatchObject({ shipmentId: 'sh_1', status: 'requested', ignoredReportCount: 1 });
  });

  test('drops and counts early reports when the order ends without a shipment', () => {
    const parcel = new Parcel();
    const isNews = parcel.applyReport(makeReport({ status: 'delivered' }));
    parcel.dropEarlyReports();

    expect(isNews).toBe(false);
    expect(parcel).toMatchObject({ status: 'requested', hasLeft: false, ignoredReportCount: 1 });
  });

  test('applies early reports once the response names the shipment', () => {
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

  test('keeps at most ten early reports', () => {
    const parcel = new Parcel();
    for (let count = 0; count < 12; count += 1) parcel.applyReport(makeReport({ shipmentId: 'sh_2' }));
    parcel.setShipmentId('sh_1');

    expect(parcel.ignoredReportCount).toBe(12);
  });
});
