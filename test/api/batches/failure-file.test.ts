import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { ndjson, upload, useBatchApi } from '../../support/api/batch-api.js';
import { createMany } from '../../support/create-many.js';
import { addProduct, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('the failed items of a batch as a file', () => {
  const batchApi = useBatchApi();
  const { waitForStatus, stockOf } = batchApi;
  let shop: Shop;
  let api: Api;
  beforeAll(() => void ({ shop, api } = batchApi));

  async function download(batchId: string, accept: string) {
    const response = await fetch(`${api.url}/v1/batches/${batchId}/failures/file`, { headers: { accept } });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  async function runBatch(items: unknown[], query: Record<string, string> = {}): Promise<string> {
    const { status, body } = await upload(api, { text: ndjson(items), query });
    expect(status).toBe(202);
    await waitForStatus(body.batchId, 'completed_with_failures');
    return body.batchId;
  }

  describe('GET /v1/batches/{id}/failures/file', () => {
    test.each([
      ['application/x-ndjson', 'ndjson', '{"sku":"NOT-THERE","quantity":7}\n{"sku":"NEITHER","quantity":9}\n'],
      ['text/csv', 'csv', 'sku,quantity\nNOT-THERE,7\nNEITHER,9\n'],
      ['text/html, TEXT/CSV;q=0.9', 'csv', 'sku,quantity\nNOT-THERE,7\nNEITHER,9\n'],
    ])('returns the failed items as uploaded for Accept: %s', async (accept, extension, expected) => {
      const { sku } = await addProduct(shop.store);
      const batchId = await runBatch([
        { sku: 'NOT-THERE', quantity: 7 },
        { sku, quantity: 8 },
        { sku: 'NEITHER', quantity: 9 },
      ]);

      const { status, headers, text } = await download(batchId, accept);

      expect([status, text]).toEqual([200, expected]);
      expect(headers.get('content-type')).toMatch(
        extension === 'csv' ? /^text\/csv; charset=utf-8$/ : /^application\/x-ndjson; charset=utf-8$/,
      );
      expect(headers.get('content-disposition')).toBe(`attachment; filename="${batchId}-failures.${extension}"`);
    });

    test.each([
      ['application/json', 406],
      ['text/html', 406],
      ['*/*', 200],
      ['text/*', 200],
      ['application/*', 200],
    ])('answers a request with Accept: %s with %i', async (accept, expected) => {
      const batchId = await runBatch([{ sku: 'NOT-THERE', quantity: 7 }]);
      const { status, text } = await download(batchId, accept);
      expect([status, text]).toEqual(
        expected === 200
          ? [200, accept === 'text/*' ? 'sku,quantity\nNOT-THERE,7\n' : '{"sku":"NOT-THERE","quantity":7}\n']
          : [406, expect.stringContaining('/problems/not-acceptable')],
      );
    });

    test('a corrected CSV file of failures with nested fields can be uploaded as a new batch', async () => {
      const { sku } = await addProduct(shop.store);
      const price = { value: 1_234, currency: 'EUR' };
      const batchId = await runBatch([{ sku: 'MISSPELT', price }], { operation: 'price-update' });
      const { text } = await download(batchId, 'text/csv');
      expect(text).toBe('sku,price.value,price.currency\nMISSPELT,1234,EUR\n');

      const corrected = await upload(api, {
        text: text.replace('MISSPELT', sku),
        type: 'text/csv',
        query: { operation: 'price-update' },
      });

      await waitForStatus(corrected.body.batchId, 'completed');
      const [product] = await shop.store.db
        .selectFrom('products')
        .select('price_value')
        .where('sku', '=', sku)
        .execute();
      expect(product).toEqual({ price_value: 1_234 });
    });

    test('contains every failed item of a large batch once, in the order of the upload', async () => {
      const { sku } = await addProduct(shop.store);
      const items = createMany(2_500, (n) => ({ sku: n % 250 === 0 ? sku : 'NOT-THERE', quantity: n + 1 }));
      const batchId = await runBatch(items, { itemsPerChunk: '700' });

      const failed = items.filter((item) => item.sku !== sku);
      expect((await download(batchId, 'application/x-ndjson')).text).toBe(ndjson(failed));
      expect((await download(batchId, 'text/csv')).text.split('\n')).toHaveLength(1 + failed.length + 1);
      expect(await stockOf(sku)).toBeDefined();
    });

    test('contains only the header row if no item failed', async () => {
      const { sku } = await addProduct(shop.store);
      const { body } = await upload(api, { text: ndjson([{ sku, quantity: 1 }]) });
      await waitForStatus(body.batchId, 'completed');
      expect((await download(body.batchId, 'text/csv')).text).toBe('sku,quantity\n');
      expect((await download(body.batchId, 'application/x-ndjson')).text).toBe('');
    });

    test('quotes values in CSV, and returns 406 for an operation whose fields are unknown', async () => {
      const keys = ['a,b', 'a"b', 'a\nb', ' padded ', 'plain'];
      const stage = async (operation: string) => {
        const batchId = randomUUID();
        const chunk = keys.map((key, index) => ({ line: index + 1, item: { sku: key, quantity: 1 } }));
        await shop.store.stageBatch(
          { batchId, operation, itemsPerChunk: 10 },
          (async function* () {
            yield chunk;
          })(),
        );
        await shop.store.db
          .updateTable('batch_chunks')
          .set({
            failed: keys.length,
            failures: JSON.stringify(keys.map((_, index) => [index, 'Test', 'for the test'])),
          })
          .where(
            'attempt_id',
            'in',
            shop.store.db.selectFrom('batch_attempts').select('attempt_id').where('batch_id', '=', batchId),
          )
          .execute();
        return batchId;
      };

      expect((await download(await stage('restock'), 'text/csv')).text).toBe(
        'sku,quantity\n"a,b",1\n"a""b",1\n"a\nb",1\n" padded ",1\nplain,1\n',
      );
      const { status, text } = await download(await stage('retired'), 'text/csv');
      expect(status).toBe(406);
      expect(JSON.parse(text)).toMatchObject({ detail: expect.stringContaining('operation retired does not exist') });
    });
  });
});
