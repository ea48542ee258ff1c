import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCatalogueActivities } from '../../src/activities/catalogue.js';
import type { Product } from '../../src/schemas/product.js';
import { openStore, type Store } from '../../src/store/index.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { createDatabase } from '../support/database.js';
import { anOrder, aProduct } from '../support/shop.js';

describe('quoteOrder', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let store: Store;
  let mug: Product;
  let filter: Product;

  beforeAll(async () => {
    database = await createDatabase();
    store = openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
    mug = await aProduct(store, { name: 'Mug', price: { value: 1250, currency: 'EUR' } });
    filter = await aProduct(store, { name: 'Filter', price: { value: 390, currency: 'EUR' }, available: 0 });
  });

  afterAll(async () => {
    await store.close();
    await database.drop();
  });

  const quote = (input: { orderId: string }) =>
    createCatalogueActivities({ store }).quoteOrder(input, orderWorkflowId(input.orderId));

  test('when the input is good, then the catalogue sets the prices', async () => {
    const input = anOrder({
      lines: [
        { sku: mug.sku, quantity: 2 },
        { sku: filter.sku, quantity: 3 },
      ],
    });

    expect(await quote(input)).toEqual({
      customerId: input.customerId,
      lines: [
        { sku: mug.sku, name: 'Mug', quantity: 2, unitPrice: { value: 1250, currency: 'EUR' } },
        { sku: filter.sku, name: 'Filter', quantity: 3, unitPrice: { value: 390, currency: 'EUR' } },
      ],
      total: { value: 3670, currency: 'EUR' },
    });
  });

  test('when a SKU comes in several lines, then it becomes one line', async () => {
    const lines = [1, 2, 3].map((quantity) => ({ sku: mug.sku, quantity }));

    expect(await quote(anOrder({ lines }))).toMatchObject({
      lines: [{ sku: mug.sku, quantity: 6 }],
      total: { value: 7500 },
    });
  });

  test('when the order sets a time limit, then the quote carries it', async () => {
    const input = anOrder({ lines: [{ sku: mug.sku, quantity: 1 }], deliveryTimeoutSeconds: 60 });

    expect(await quote(input)).toMatchObject({ deliveryTimeoutSeconds: 60 });
  });

  test('when SKUs are unknown, then all of them are named, for good', async () => {
    const lines = ['NOBODY', mug.sku, 'NOTHING'].map((sku) => ({ sku, quantity: 1 }));

    await expect(quote(anOrder({ lines }))).rejects.toMatchObject({
      type: 'UnknownSku',
      nonRetryable: true,
      message: 'not in the catalogue: NOBODY, NOTHING',
      details: [['NOBODY', 'NOTHING']],
    });
  });

  test('when the prices are in several currencies, then it is refused, for good', async () => {
    const { sku } = await aProduct(store, { price: { value: 1, currency: 'USD' } });
    const lines = [mug.sku, sku].map((each) => ({ sku: each, quantity: 1 }));

    await expect(quote(anOrder({ lines }))).rejects.toMatchObject({
      type: 'MixedCurrencies',
      nonRetryable: true,
      message: 'an order has one currency, not EUR, USD',
    });
  });

  test('when the input is bad, then each problem is named, for good', async () => {
    const input = { ...anOrder({ lines: [{ sku: 'no sku', quantity: 1.5 }] }), discount: 100 };

    await expect(quote(input)).rejects.toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
      details: [
        expect.arrayContaining([
          { pointer: '/lines/0/sku', detail: expect.any(String) },
          { pointer: '/lines/0/quantity', detail: expect.any(String) },
          { pointer: '/discount', detail: 'is not a known field' },
        ]),
      ],
    });
  });

  test.each([
    ['of another order', 'order:A2'],
    ['without the prefix', 'A1'],
  ])('when the workflow id is one %s, then the input is bad', async (_what, workflowId) => {
    const input = anOrder({ orderId: 'A1', lines: [{ sku: mug.sku, quantity: 1 }] });

    await expect(createCatalogueActivities({ store }).quoteOrder(input, workflowId)).rejects.toMatchObject({
      type: 'InvalidInput',
      details: [[{ pointer: '/orderId' }]],
    });
  });
});
