import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import type { CartResource } from '../../../src/schemas/cart.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, tabTo, takeStatusError } from '../../support/api/console-pages.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const operator = createCaller(['operator']);
const shopper = createCaller(['shopper']);
const approver = createCaller(['approver']);

describeOnDevServer('the start forms of the console', () => {
  describeInBrowser('in a browser', () => {
    let shop: Shop;
    let api: Api;
    let openApi: Api;
    let mug: Product;

    beforeAll(async () => {
      shop = await startShop(await startDevServer());
      api = await startApi({ ...shop, auth: authOf(operator, shopper, approver) });
      const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: false });
      openApi = await startApi({ ...shop, outgoing });
      mug = await addProduct(shop.store, { sku: 'MUG-ENAMEL', available: 1_000 });
      await addProduct(shop.store, { sku: 'ESPRESSO-BEANS-1KG', available: 1_000 });
    });
    afterAll(async () => {
      await openApi?.close();
      await api?.close();
      await shop?.close();
    });

    const browser = useBrowser();
    const { open } = browser.below(() => `${openApi.url}/console`);
    const { openAs } = browser.below(() => `${api.url}/console`);

    const idIn = (url: string) => url.split('/').at(-1)!;

    test.each(DEVICES)('the forms are accessible and fit on $device', async ({ options }) => {
      for (const path of ['/start', '/start/order', '/start/cart', '/start/approval']) {
        const opened = await open(path, options);
        await expectGoodPage(opened);
      }
    });

    test.each(DEVICES)('a form with problems is accessible on $device', async ({ options }) => {
      const opened = await open('/start/order', options);
      await opened.page.getByLabel('Quantity').first().fill('0');
      await opened.page.getByRole('button', { name: 'Place the order' }).last().click();
      await opened.page.getByRole('alert').waitFor();
      // The browser reports the status 400 of the page.
      takeStatusError(opened, 400);
      await expectGoodPage(opened);
    });

    test('places the example order, and the curl command below the form places the same order', async () => {
      const { page, browserErrors } = await open('/start/order');
      const orderId = await page.getByLabel('Order id').inputValue();
      await page.getByLabel('Quantity').first().fill('3');
      await page.getByText('"quantity": 3').waitFor();
      const command = await page.locator('#curl').innerText();

      await tabTo(page.getByRole('button', { name: 'Place the order' }).last());
      await page.keyboard.press('Enter');
      await page.waitForURL(`**/console/orders/${orderId}`);

      const order = await openApi.waitForOrder(orderId, ({ lines }) => lines !== undefined, 'priced');
      expect(order).toMatchObject({
        customerId: 'ada',
        lines: [
          { sku: 'ESPRESSO-BEANS-1KG', quantity: 3 },
          { sku: 'MUG-ENAMEL', quantity: 1 },
        ],
      });
      const { stdout } = await promisify(execFile)('sh', ['-c', command]);
      expect(JSON.parse(stdout)).toMatchObject({ orderId });
      expect(browserErrors).toEqual([]);
    });

    test('without JavaScript, adds and removes lines and keeps the values of an invalid form', async () => {
      const { page } = await open('/start/order', { javaScriptEnabled: false });
      await page.getByRole('button', { name: 'Remove line 1' }).click();
      expect(await page.getByLabel('SKU').inputValue()).toBe('MUG-ENAMEL');
      await page.getByRole('button', { name: 'Add a line' }).click();
      await page.getByLabel('SKU').nth(1).fill('mug enamel');
      await page.getByLabel('Quantity').nth(1).fill('many');
      await page.getByLabel('Expected total (optional)').fill('25.00');
      await page.getByRole('button', { name: 'Add a line' }).click();
      expect(await page.getByLabel('SKU').count()).toBe(3);

      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await page.getByLabel('Customer id').press('Enter');
      expect((await answered).status()).toBe(400);

      const alert = page.getByRole('alert');
      expect(await alert.getByRole('listitem').allInnerTexts()).toEqual([
        'Line 2, Quantity: Enter a whole number from 1 to 1,000',
        'Line 2, SKU: must be 1 to 32 of A-Z 0-9 - and start with a letter or digit',
      ]);
      expect(await page.getByLabel('SKU').nth(1).inputValue()).toBe('mug enamel');
      expect(await page.getByLabel('Quantity').nth(1).inputValue()).toBe('many');
      expect(await page.getByLabel('Quantity').nth(1).getAttribute('aria-invalid')).toBe('true');
      expect(await page.getByLabel('Expected total (optional)').inputValue()).toBe('25.00');
      expect(await page.locator('#curl').innerText()).toContain('"quantity": "many"');
      await alert.getByRole('link', { name: /SKU/ }).click();
      expect(new URL(page.url()).hash).toBe('#/lines/1/sku');

      await page.getByLabel('SKU').nth(1).fill(mug.sku);
      await page.getByLabel('Quantity').nth(1).fill('1');
      await page.getByRole('button', { name: 'Place the order' }).last().click();
      await page.waitForURL('**/console/orders/*');
      const order = await openApi.waitForOrder(idIn(page.url()), ({ lines }) => lines !== undefined, 'priced');
      expect(order).toMatchObject({
        total: { value: 2500, currency: 'EUR' },
        lines: [{ sku: mug.sku, quantity: 2 }],
      });
    });

    test('shows why the API rejects an order, and keeps the form', async () => {
      const { page } = await open('/start/order');
      await page.getByLabel('Expected total (optional)').fill('1.00');
      await page.getByLabel('Customer id').fill('grace');
      await page.getByRole('button', { name: 'Place the order' }).last().click();

      await page.getByRole('alert').getByText('the expected total is €1.00').waitFor();
      expect(await page.getByLabel('Customer id').inputValue()).toBe('grace');
    });

    test('a form without an order id places one order, also when it is sent twice', async () => {
      const { page } = await open('/start/order', { javaScriptEnabled: false });
      await page.getByLabel('Order id').fill('');
      const inputs = page.locator('form[data-curl]').locator('input, select');
      const form = await inputs.evaluateAll((elements) =>
        (elements as unknown as { name: string; value: string }[]).map(({ name, value }): [string, string] => [
          name,
          value,
        ]),
      );
      const send = () =>
        fetch(page.url(), {
          method: 'POST',
          body: new URLSearchParams(form),
          headers: { 'sec-fetch-site': 'same-origin' },
          redirect: 'manual',
        });
      const locations = (await Promise.all([send(), send()])).map(({ headers }) => headers.get('location'));
      expect(new Set(locations).size).toBe(1);
      expect(locations[0]).toMatch(/^\/console\/orders\/[0-9a-f-]{36}$/);
    });

    test('opens a cart of the shopper who sends the form', async () => {
      const { page } = await openAs(shopper, '/start/cart');
      await page.getByLabel('Quantity').fill('4');
      const command = page.locator('#curl');
      await command.getByText('"quantity": 4').waitFor();
      expect(await command.innerText()).toContain('-H "X-API-Key: $API_KEY"');
      await page.getByRole('button', { name: 'Add to the cart' }).last().click();
      await page.waitForURL('**/console/carts/*');

      const { body } = await shopper.send<CartResource>(api, 'GET', `/v1/carts/${idIn(page.url())}`);
      expect(body).toMatchObject({ customerId: shopper.id, lines: [{ sku: 'ESPRESSO-BEANS-1KG', quantity: 4 }] });
    });

    test('requests an approval with all fields of the example', async () => {
      const { page } = await openAs(operator, '/start/approval', { javaScriptEnabled: false });
      await page.getByRole('button', { name: 'Request the approval' }).last().click();
      await page.waitForURL('**/console/approvals/*');

      const { body } = await openApi.get<ApprovalResource>(`/v1/approvals/${idIn(page.url())}`);
      expect(body).toMatchObject({
        title: 'Buy a new roaster?',
        description: 'The old one is from 1987.\nTwo offers are on the shared drive.',
        amount: { value: 1_250_000, currency: 'EUR' },
        stages: 2,
        status: 'pending',
      });
    });

    test('shows an address that the shop must not call at its field', async () => {
      const { page } = await open('/start/approval', { javaScriptEnabled: false });
      await page.getByLabel('Callback URL').fill('https://169.254.169.254/latest');
      await page.getByRole('button', { name: 'Request the approval' }).last().click();

      await page
        .getByRole('alert')
        .getByRole('link', { name: /^Callback URL/ })
        .click();
      expect(await page.getByLabel('Callback URL').getAttribute('aria-invalid')).toBe('true');
    });

    test('callers see only the forms of their roles, and a shopper orders only for themselves', async () => {
      const titles = async (caller: TestCaller) =>
        (await openAs(caller, '/start')).page.getByRole('main').getByRole('heading', { level: 2 }).allInnerTexts();
      expect(await titles(operator)).toEqual([
        'Place an order',
        'Open a cart',
        'Request an approval',
        'Upload a batch',
      ]);
      expect(await titles(shopper)).toEqual(['Place an order', 'Open a cart']);
      expect(await titles(approver)).toEqual(['Request an approval']);

      const { page } = await openAs(shopper, '/start/order', { javaScriptEnabled: false });
      expect(await page.getByLabel('Customer id').inputValue()).toBe(shopper.id);
      await page.getByLabel('Customer id').fill('somebody-else');
      const orderId = await page.getByLabel('Order id').inputValue();
      await page.getByRole('button', { name: 'Place the order' }).last().click();
      await page.getByRole('alert').getByText('cannot be customer somebody-else').waitFor();
      expect((await openApi.get<OrderResource>(`/v1/orders/${orderId}`)).status).toBe(404);
    });
  });
});
