import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildTestApp } from '../../support/api/api.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';

let app: FastifyInstance;
let close: () => Promise<void>;

beforeAll(async () => {
  const backends = await createUnreachableBackends();
  app = await buildTestApp({ ...backends, auth: 'open' });
  close = () => app.close().then(() => backends.close());
});
afterAll(() => close?.());

test.each([
  [
    'orders',
    'customerId=not+an+id&placedFrom=yesterday',
    ['Customer: must be 1 to 120', 'Placed from (UTC): Enter a date such as 2026-01-31'],
  ],
  ['orders', 'status=lost', ['Status: Choose one of the values in the list']],
  ['carts', 'cartId=not+an+id', ['Cart id: must be 1 to 64']],
  ['carts', 'customerId=not+an+id', ['Customer: must be 1 to 120']],
  [
    'approvals',
    'approver=not+an+id&requestedBy=not+an+id',
    ['Waits for: must be 1 to 120', 'Requested by: must be 1 to 120'],
  ],
  ['batches', 'status=lost', ['Status: Choose one of the values in the list']],
  ['products', `search=${'x'.repeat(101)}`, ['SKU or name starts with: Enter at most 100 characters']],
  ['products', 'sold=maybe', ['Sales: Choose one of the values in the list']],
  ['shipment-reports', 'reason=lost', ['Reason: Choose one of the values in the list']],
  ['products', 'limit=1000', ['Page size: must be an integer from 1 to 200']],
])(
  'the list of %s with the filter %s shows the filter as it was typed, and the problems',
  async (path, query, problems) => {
    const { statusCode, body } = await app.inject(`/console/${path}?${query}`);
    expect(statusCode).toBe(400);
    const [alert = ''] = /<div class="notice bad" role="alert">.*?<\/div>/s.exec(body) ?? [];
    for (const problem of problems) expect(alert).toContain(problem);
    expect(body).toContain('<button>Filter</button>');
    for (const [name, value] of new URLSearchParams(query))
      if (!['status', 'sold', 'reason', 'limit'].includes(name)) {
        const [input = ''] = new RegExp(`<input[^>]*name="${name}"[^>]*>`).exec(body) ?? [];
        expect(input).toContain(`value="${value}"`);
        expect(input).toContain('aria-invalid="true"');
      }
  },
);

test.each(['2026-03-02', '2026-03-01'])(
  'the list of orders rejects a period from %s before 2026-03-01',
  async (from) => {
    const { statusCode, body } = await app.inject(`/console/orders?placedFrom=${from}&placedBefore=2026-03-01`);
    expect(statusCode).toBe(400);
    expect(body).toContain('Placed from (UTC): must be earlier than Placed before (UTC)');
    expect(body).toMatch(/<input[^>]*name="placedFrom"[^>]*aria-invalid="true"/);
  },
);

test.each(['orders/live', 'carts/_live', 'products/live'])('%s rejects an invalid filter with 400', async (path) => {
  expect((await app.inject(`/console/${path}?limit=0`)).statusCode).toBe(400);
});

const uploadInvalid = async (query: string, payload: string) =>
  (
    await app.inject({
      method: 'POST',
      url: `/console/batches/upload?batchId=batch-1&${query}`,
      headers: { ...FROM_OWN_PAGE, 'content-type': 'application/octet-stream' },
      payload,
    })
  ).body;

test.each([
  ['operation=restock&fileName=items.csv&itemsPerChunk=many', 'Items per chunk: Enter a whole number from 1 to 5,000.'],
  ['operation=lost&fileName=items.csv', 'Operation: must be one of price-update, restock.'],
  ['operation=restock&fileName=items.xlsx', 'File: the name must end with one of .csv, '],
])('the upload form with %s describes its only problem once', async (query, problem) => {
  const body = await uploadInvalid(query, 'sku,quantity');
  const [alert = ''] = /<div class="notice bad" role="alert">.*?<\/div>/s.exec(body) ?? [];
  expect(alert).toContain(problem);
  expect(body).not.toContain('Problems of the upload');
});

test('the upload form names its invalid fields as the form does, and says what to enter', async () => {
  const { statusCode, body } = await app.inject({
    method: 'POST',
    url: '/console/batches/upload?fileName=items.csv&batchId=not+an+id&delimiter=dot',
    headers: { ...FROM_OWN_PAGE, 'content-type': 'application/octet-stream' },
    payload: 'sku,quantity',
  });
  expect(statusCode).toBe(400);
  const cells = [...body.matchAll(/<td role="cell"[^>]*data-title="(?:Field|Problem)">\s*(.*?)\s*<\/td>/gs)].map(
    ([, text]) => text,
  );
  expect(cells.slice(0, 6)).toEqual([
    'Operation',
    'Enter the operation',
    'Batch id',
    expect.stringContaining('Must be 1 to 64'),
    'Separator of CSV values',
    'Choose one of the values in the list',
  ]);
});
