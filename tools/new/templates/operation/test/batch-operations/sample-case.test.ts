import { describe, expect, test } from 'vitest';
import { operations } from '../../src/batch-operations/index.js';
import type { Store } from '../../src/store/index.js';
import { applyItems } from '../support/database/applied-items.js';
import { useTestStore } from '../support/database/test-store.js';
import { addProduct, readStock } from '../support/shop/shop.js';

describe('sample-case', () => {
  let store: Store;
  let ownerStore: Store;
  // The operation runs with the privileges of worker and API, which cannot add products.
  useTestStore(
    (opened, openedAsOwner) => {
      store = opened;
      ownerStore = openedAsOwner;
    },
    { role: 'app' },
  );

  test('sets the stock of products, and fails the items of unknown products', async () => {
    const { sku } = await addProduct(ownerStore);
    const other = await addProduct(ownerStore);

    const failures = await applyItems(store, 'sample-case', [
      { sku, stock: 3 },
      { sku: 'NOT-THERE', stock: 4 },
      { sku, stock: 5 },
    ]);

    expect(failures).toEqual([[2, 'UnknownSku', 'not in the catalogue: NOT-THERE']]);
    expect(await readStock(store, sku)).toBe(5);
    expect(await readStock(store, other.sku)).toBe(10);
  });

  test.each([{ sku: 'MUG' }, { sku: 'MUG', stock: -1 }, { sku: 'mug', stock: 1 }, { sku: 'MUG', stock: 1, x: 1 }])(
    'rejects the item %j',
    (item) => {
      expect(operations.get('sample-case')!.itemSchema.safeParse(item).success).toBe(false);
    },
  );
});
