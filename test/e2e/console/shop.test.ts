import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CartResource } from '../../../src/schemas/cart.js';
import type { Product } from '../../../src/schemas/product.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser, type OpenedPage } from '../../support/api/browser.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage } from '../../support/api/console-pages.js';
import { waitUntil } from '../../support/processes.js';
import { newCartId } from '../../support/shop/carts.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const [ada, grace] = [createCaller(['shopper']), createCaller(['shopper'])];
const operator = createCaller(['operator']);
const approver = createCaller(['approver']);

const WITHOUT_JAVASCRIPT = { javaScriptEnabled: false };

describeOnDevServer('carts and products in the console', () => {
  describeInBrowser('in a browser', () => {
    let shop: Shop;
    let api: Api;
    let openApi: Api;

    beforeAll(async () => {
      shop = await startShop(await startDevServer(), { queues: ['carts', 'orders', 'payments'] });
      api = await startApi({ ...shop, auth: authOf(ada, grace, operator, approver) });
      openApi = await startApi(shop);
    });
    afterAll(async () => {
      await openApi?.close();
      await api?.close();
      await shop?.close();
    });

    const browser = useBrowser();
    const { open } = browser.below(() => `${openApi.url}/console`);
    const { openAs } = browser.below(() => `${api.url}/console`);

    async function fillCart(product: Product, quantity = 1): Promise<string> {
      const cartId = newCartId();
      const { status } = await openApi.post(`/v1/carts/${cartId}/items`, { sku: product.sku, quantity });
      expect(status).toBe(200);
      return cartId;
    }

    const readCart = (cartId: string) => openApi.get<CartResource>(`/v1/carts/${cartId}`);

    /** The changes that the page of a cart shows, without their times. */
    const changesOf = async ({ page }: Pick<OpenedPage, 'page'>) =>
      (await page.locator('.timeline li > div').allInnerTexts()).map((text) => text.trim());

    const setPrice = ({ sku }: Product, value: number) =>
      sql`update products set price_value = ${value} where sku = ${sku}`.execute(shop.ownerStore.db);

    test.each(DEVICES)('the pages are accessible and fit on $device', async ({ options }) => {
      const cartId = await fillCart(await addProduct(shop.store, { name: 'W'.repeat(60) }));
      await openApi.post(`/v1/carts/${await fillCart(await addProduct(shop.store))}/checkout`, {
        payment: { token: 'tok_ok' },
      });
      for (const path of ['/carts', `/carts/${cartId}`, '/products', '/products?search=nothing']) {
        const opened = await open(path, options);
        await expectGoodPage(opened);
      }
    });

    test('a cart is changed, updates in another window, and is checked out for the total that was shown', async () => {
      const [mug, kettle] = [await addProduct(shop.store), await addProduct(shop.store, { name: 'Kettle' })];
      const cartId = await fillCart(mug);
      const mine = await open(`/carts/${cartId}`);
      const other = await open(`/carts/${cartId}`);

      await mine.page.getByRole('combobox', { name: 'SKU' }).fill(kettle.sku);
      await mine.page.getByRole('textbox', { name: 'Quantity (1 to 1000)' }).fill('2');
      await mine.page.keyboard.press('Enter');
      await mine.page.getByText('€37.50').first().waitFor();
      await other.page.getByRole('cell', { name: 'Kettle' }).waitFor({ timeout: 20_000 });

      await mine.page.getByLabel(`Quantity of ${mug.sku}`).fill('3');
      await mine.page.getByRole('row', { name: mug.sku }).getByRole('button', { name: 'Change' }).click();
      await mine.page.getByText('€62.50').first().waitFor();
      await mine.page.getByRole('button', { name: `Remove ${kettle.sku}` }).click();
      await mine.page.getByRole('button', { name: 'Order for €37.50' }).waitFor();
      expect((await readCart(cartId)).body.lines).toMatchObject([{ sku: mug.sku, quantity: 3 }]);
      const changes = [
        `Removed 2 × ${kettle.sku}.`,
        `Changed the quantity of ${mug.sku} from 1 to 3.`,
        `Added 2 × ${kettle.sku}.`,
        `Added 1 × ${mug.sku}.`,
      ];
      expect(await changesOf(mine)).toEqual(changes);

      await mine.page.getByLabel('Customer').fill('ada');
      expect(await mine.page.getByLabel('Card token').inputValue()).toBe('');
      await mine.page.getByLabel('Card token').fill('tok_ok');
      await mine.page.getByRole('button', { name: 'Order for €37.50' }).click();
      await mine.page.waitForURL('**/console/orders/*');
      const orderId = mine.page.url().split('/').at(-1)!;
      const order = await openApi.waitForOrder(orderId, ({ total }) => total !== undefined, 'priced');
      expect(order).toMatchObject({ customerId: 'ada', total: { value: 3750, currency: 'EUR' } });

      await other.page.getByText(`it became order ${orderId}`).waitFor({ timeout: 20_000 });
      expect(await changesOf(other)).toEqual(['Checked out.', ...changes]);
      expect(other.browserErrors).toEqual([]);
    });

    test.each([
      ['with JavaScript', {}],
      ['without JavaScript', WITHOUT_JAVASCRIPT],
    ])('%s, a changed price stops the checkout and the page shows the new total', async (_title, options) => {
      const product = await addProduct(shop.store);
      const cartId = await fillCart(product, 2);
      const { page } = await open(`/carts/${cartId}`, options);
      await page.getByRole('button', { name: 'Order for €25.00' }).waitFor();
      await setPrice(product, 1_300);
      // A live update shows the new total of the cart. The button keeps the total that the user saw.
      if (options === WITHOUT_JAVASCRIPT) expect(await page.getByText('€26.00').count()).toBe(0);
      else await page.getByText('€26.00').first().waitFor({ timeout: 20_000 });

      await page.getByLabel('Card token').fill('tok_again');
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await page.getByRole('button', { name: 'Order for €25.00' }).click();
      expect((await answered).status()).toBe(409);
      await page.getByRole('alert').getByText('The total has changed to €26.00').waitFor();
      expect((await readCart(cartId)).body.status).toBe('open');
      expect(await page.getByLabel('Card token').inputValue()).toBe('tok_again');
      expect(await changesOf({ page })).toEqual([
        expect.stringMatching(/^Checkout failed: the total is €26.00, but .*\.$/),
        `Added 2 × ${product.sku}.`,
      ]);

      await page.getByRole('button', { name: 'Order for €26.00' }).click();
      await page.waitForURL('**/console/orders/*');
    });

    test('without JavaScript, an item that is out of stock is rejected with the reason and the typed values', async () => {
      const cartId = await fillCart(await addProduct(shop.store));
      const { sku } = await addProduct(shop.store, { available: 3 });
      const { page } = await open(`/carts/${cartId}`, WITHOUT_JAVASCRIPT);
      const quantity = page.getByRole('textbox', { name: 'Quantity (1 to 1000)' });
      await page.getByRole('combobox', { name: 'SKU' }).fill(sku);
      await quantity.fill('4');
      await page.getByRole('button', { name: 'Add', exact: true }).click();

      await page.getByRole('alert').getByText('Nothing was changed').waitFor();
      expect(await page.getByRole('alert').innerText()).toContain(sku);
      expect(await quantity.inputValue()).toBe('4');
      await quantity.fill('four');
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      expect(await page.getByRole('alert').innerText()).toContain('Quantity: Enter a whole number from 1 to 1,000');

      await quantity.fill('3');
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      await page.getByLabel(`Quantity of ${sku}`).waitFor();
      expect((await readCart(cartId)).body.lines).toHaveLength(2);
    });

    test('an abandoned cart shows its outcome and offers no changes', async () => {
      const cartId = await fillCart(await addProduct(shop.store));
      const { page } = await open(`/carts/${cartId}`, WITHOUT_JAVASCRIPT);
      await page.getByText('Abandon the cart').click();
      await page.getByText('The cart closes without an order').waitFor();
      await page.getByRole('button', { name: 'Abandon' }).click();

      await page.getByText('it was abandoned').waitFor();
      expect(await page.getByRole('main').getByRole('button').count()).toBe(0);
    });

    test('a cart form that is sent twice changes the cart once', async () => {
      const { sku } = await addProduct(shop.store);
      const cartId = await fillCart(await addProduct(shop.store));
      const url = `${openApi.url}/console/carts/${cartId}`;
      const [, form = ''] = /name="form" value="([^"]+)"/.exec(await (await fetch(url)).text()) ?? [];
      const send = () =>
        fetch(`${url}/add`, {
          method: 'POST',
          body: new URLSearchParams({ form, sku, quantity: '2' }),
          headers: { 'sec-fetch-site': 'same-origin' },
          redirect: 'manual',
        });

      expect((await Promise.all([send(), send()])).map(({ status }) => status)).toEqual([303, 303]);

      expect((await readCart(cartId)).body.lines).toContainEqual(expect.objectContaining({ sku, quantity: 2 }));
    });

    test('carts are found by id, customer and status', async () => {
      const { sku } = await addProduct(shop.store);
      const cartId = newCartId();
      await ada.send(api, 'POST', `/v1/carts/${cartId}/items`, { json: { sku, quantity: 1 } });
      const { page } = await openAs(operator, '/carts', WITHOUT_JAVASCRIPT);

      await page.getByLabel('Customer').fill(ada.id);
      await page.getByLabel('Status').selectOption('open');
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.getByRole('link', { name: cartId }).waitFor();
      await page.getByLabel('Status').selectOption('expired');
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.getByText('No cart matches the filter.').waitFor();

      await page.getByLabel('Cart id').fill(cartId);
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.getByRole('heading', { level: 1, name: `Cart ${cartId}` }).waitFor();
      expect(page.url()).toBe(`${api.url}/console/carts/${cartId}`);
    });

    test('a shopper sees and changes only their own carts', async () => {
      const { sku } = await addProduct(shop.store);
      const [mine, theirs] = [newCartId(), newCartId()];
      await ada.send(api, 'POST', `/v1/carts/${mine}/items`, { json: { sku, quantity: 1 } });
      await grace.send(api, 'POST', `/v1/carts/${theirs}/items`, { json: { sku, quantity: 1 } });
      const { page } = await openAs(ada, '/carts', WITHOUT_JAVASCRIPT);
      expect(await page.getByRole('link', { name: mine }).count()).toBe(1);
      expect(await page.getByRole('link', { name: theirs }).count()).toBe(0);
      expect(await page.getByLabel('Customer').count()).toBe(0);

      const asAda = async (method: string, path: string, form?: Record<string, string>) => {
        const headers = { ...ada.authHeader, 'sec-fetch-site': 'same-origin' };
        const body = form && { body: new URLSearchParams(form) };
        return (await fetch(`${api.url}/console/carts${path}`, { method, headers, ...body, redirect: 'manual' }))
          .status;
      };
      expect(await asAda('GET', `?customerId=${grace.id}`)).toBe(403);
      expect(await asAda('GET', `/${theirs}`)).toBe(404);
      expect(await asAda('GET', `/${theirs}/live`)).toBe(404);
      expect(await asAda('POST', `/${theirs}/add`, { sku, quantity: '5' })).toBe(404);
      expect(await asAda('POST', `/${theirs}/abandon`, {})).toBe(404);
      const { body } = await grace.send<CartResource>(api, 'GET', `/v1/carts/${theirs}`);
      expect(body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 1 }] });
      const own = await openAs(ada, `/carts/${mine}`, WITHOUT_JAVASCRIPT);
      expect(await changesOf(own)).toEqual([`Added 1 × ${sku}. By ${ada.id}.`]);

      const denied = await openAs(approver, '/carts', WITHOUT_JAVASCRIPT);
      expect(await denied.page.title()).toContain('The caller may not do this');
    });

    test('products show the pieces that orders reserve while the page is open, and unsold products are found', async () => {
      const product = await addProduct(shop.store, { name: 'Teapot of glass' });
      const { page } = await open('/products?search=teapot');
      const row = page.getByRole('row').filter({ hasText: product.sku });
      expect(await row.getByRole('cell').allInnerTexts()).toEqual([
        product.sku,
        product.name,
        '€12.50',
        '10',
        '0',
        '0',
      ]);

      const cartId = await fillCart(product, 4);
      await openApi.post(`/v1/carts/${cartId}/checkout`, { payment: { token: 'tok_ok' } });
      const cells = async () => ((await row.getByRole('cell').allInnerTexts())[4] === '4' ? true : undefined);
      await waitUntil(cells, { description: 'four reserved pieces', timeoutMs: 20_000 });

      await page.getByLabel('Sales').selectOption('Sold');
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.getByText('No product matches.').waitFor();
      await page.getByLabel('Sales').selectOption('Not sold yet');
      await page.getByRole('button', { name: 'Filter' }).click();
      await row.waitFor();
      expect(new URL(page.url()).search).toBe('?search=teapot&sold=none');
    });
  });
});
