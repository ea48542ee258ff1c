import { describe, expect, test } from 'vitest';
import { operations } from '../../src/batch-operations/index.js';
import type { Store } from '../../src/store/index.js';
import { applyItems } from '../support/database/applied-items.js';
import { useTestStore } from '../support/database/test-store.js';
import { addProduct } from '../support/shop/shop.js';

describe('sample-case', () => {
  let store: Store;
  useTestStore((opened) => void (store = opened));

  const nameOf = async (sku: string) => (await store.findProducts([sku])).get(sku)?.name;

  test('sets the name of products, and fails the items of unknown products', async () => {
    const { sku } = await addProduct(store);
    const other = await addProduct(store);

    const failures = await applyItems(store, 'sample-case', [
      { sku, name: 'First' },
      { sku: 'NOT-THERE', name: 'None' },
      { sku, name: 'Second' },
    ]);

    expect(failures).toEqual([[2, 'UnknownSku', 'not in the catalogue: NOT-THERE']]);
    expect(await nameOf(sku)).toBe('Second');
    expect(await nameOf(other.sku)).toBe(other.name);
  });

  test.each([{ sku: 'MUG' }, { sku: 'MUG', name: '' }, { sku: 'mug', name: 'Mug' }, { sku: 'MUG', name: 'Mug', x: 1 }])(
    'rejects the item %j',
    (item) => {
      expect(operations.get('sample-case')!.itemSchema.safeParse(item).success).toBe(false);
    },
  );
});
