import { describe, expect, test } from 'vitest';
import { money, formatMoney } from '../../../src/schemas/shared/money.js';

describe('money', () => {
  test.each([
    [1_250_000, 'HUF', 'HUF 12,500.00'],
    [500, 'ISK', 'ISK 500'],
    [500, 'JPY', '¥500'],
    [1_500, 'KWD', 'KWD 1.500'],
    [12_345, 'CLF', 'CLF 1.2345'],
    [1_250, 'MRU', 'MRU 12.50'],
    [1_250, 'IDR', 'IDR 12.50'],
    [1_999, 'EUR', '€19.99'],
    [0, 'EUR', '€0.00'],
    [Number.MAX_SAFE_INTEGER, 'EUR', '€90,071,992,547,409.91'],
    [Number.MAX_SAFE_INTEGER, 'KWD', 'KWD 9,007,199,254,740.991'],
  ])('formats %d minor units of %s as %s', (value, currency, shown) => {
    expect(formatMoney({ value, currency }).replace('\u00A0', ' ')).toBe(shown);
  });

  test('accepts a currency that the runtime does not know yet', () => {
    expect(money.safeParse({ value: 1, currency: 'XCG' }).success).toBe(true);
  });

  test.each(['ABC', 'eur', 'XXX', 'XAU', 'HRK', ''])('rejects the currency "%s"', (currency) => {
    expect(money.safeParse({ value: 1, currency }).error?.issues).toMatchObject([
      { path: ['currency'], message: 'must be the ISO 4217 code of a currency with a minor unit, such as EUR' },
    ]);
  });
});
