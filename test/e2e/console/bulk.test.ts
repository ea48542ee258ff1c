import { Client } from '@temporalio/client';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderResource } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, tabTo } from '../../support/api/console-pages.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';
import { waitUntil } from '../../support/processes.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const shopper = createCaller(['shopper']);
const operator = createCaller(['operator']);

describeOnDevServer('actions on many resources in the console', () => {
  describeInBrowser('in a browser', () => {
    let shop: Shop;
    let api: Api;
    let openApi: Api;
    let product: Product;

    beforeAll(async () => {
      shop = await startShop(await startDevServer());
      api = await startApi({ ...shop, auth: authOf(shopper, operator) });
      openApi = await startApi({ ...shop, fakes: shop.fakes });
      product = await addProduct(shop.store, { available: 1_000 });
    });
    afterAll(async () => {
      await openApi?.close();
      await api?.close();
      await shop?.close();
    });

    const browser = useBrowser();
    const { open } = browser.below(() => `${openApi.url}/console`);

    /** Places an order and waits until its parcel is at the carrier. */
    async function placeOrder(customerId: string): Promise<string> {
      const { orderId, ...order } = makeOrder({ customerId, lines: [{ sku: product.sku, quantity: 1 }] });
      expect((await openApi.post('/v1/orders', { orderId, ...order })).status).toBe(202);
      await openApi.waitForOrderStage(orderId, 'awaiting_pickup');
      return orderId;
    }

    const statusOf = async (orderId: string) => (await openApi.get<OrderResource>(`/v1/orders/${orderId}`)).body.status;

    test.each([
      ['with JavaScript', {}],
      ['without JavaScript', { javaScriptEnabled: false }],
    ])(
      '%s, cancels the previewed orders, and reports an order that was delivered in the meantime',
      async (_t, options) => {
        const customerId = `customer-${Object.keys(options).length}`;
        const orderIds = [await placeOrder(customerId), await placeOrder(customerId), await placeOrder(customerId)];
        const [oldest, delivered, newest] = orderIds as [string, string, string];
        const { page } = await open('/bulk/orders?action=cancel', options);
        await page.getByLabel('Customer').fill(customerId);
        await page.getByLabel('At most').fill('2');
        await page.getByRole('button', { name: 'Preview' }).click();
        await page.getByRole('heading', { name: '3 orders match.' }).waitFor();
        await page.getByText('Show the selected orders').click();
        expect(await page.getByRole('list').getByRole('link', { name: /-/ }).allInnerTexts()).toEqual([
          newest,
          delivered,
        ]);

        await deliverParcel(shop.fakes, delivered);
        await openApi.waitForOrderStatus(delivered, 'completed');
        await page.getByLabel('Reason').fill('The shop closes');
        await page.getByRole('button', { name: 'Cancel orders (2)' }).click();

        await page.getByRole('alert').getByText('1 done, 1 not possible.').waitFor();
        const row = (id: string) => page.getByRole('row').filter({ hasText: id }).innerText();
        expect(await row(newest)).toContain('done');
        expect(await row(delivered)).toMatch(/not possible.*is completed/s);
        const cancelled = await openApi.waitForOrderStatus(newest, 'cancelled');
        expect(cancelled.cancellation).toMatchObject({ reason: 'The shop closes' });
        expect(await statusOf(oldest)).toBe('processing');
        expect(await statusOf(delivered)).toBe('completed');
      },
    );

    test('retries the stuck compensations with only the keyboard', async () => {
      const orderId = await placeOrder('stuck');
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
      await openApi.post(`/v1/orders/${orderId}/cancel`);
      await openApi.waitForOrderStatus(orderId, 'compensation_stuck');

      const { page } = await open('/bulk/orders?status=compensation_stuck&customerId=stuck');
      await tabTo(page.getByRole('button', { name: 'Retry compensations (1)' }));
      await page.keyboard.press('Enter');

      await page.getByRole('alert').getByText('1 done.').waitFor();
      await openApi.waitForOrderStatus(orderId, 'cancelled');
    });

    test('retries batches, and starts one further attempt if the form is sent twice', async () => {
      const text = [
        { sku: product.sku, quantity: 1 },
        { sku: 'UNKNOWN', quantity: 1 },
      ]
        .map((item) => JSON.stringify(item))
        .join('\n');
      await openApi.request('POST', '/v1/batches?operation=restock&batchId=with-failures', {
        text,
        headers: { 'content-type': 'application/x-ndjson' },
      });
      const read = async () =>
        (await openApi.get<{ status: string; attempt: number }>('/v1/batches/with-failures')).body;
      const waitForEnd = (attempt: number) =>
        waitUntil(
          async () => {
            const batch = await read();
            return batch.status === 'completed_with_failures' && batch.attempt === attempt ? batch : undefined;
          },
          { description: `the end of attempt ${attempt}`, timeoutMs: 20_000 },
        );
      await waitForEnd(1);

      const listed = async () =>
        (await openApi.post<{ items: unknown[] }>('/v1/batches/bulk', { action: 'retry', filter: {}, dryRun: true }))
          .body.items.length === 1
          ? true
          : undefined;
      await waitUntil(listed, { description: 'the batch in the list', timeoutMs: 20_000 });
      const { page } = await open('/bulk/batches', { javaScriptEnabled: false });
      const inputs = await page
        .locator('form[method="post"] input[type="hidden"]')
        .evaluateAll((elements) =>
          (elements as unknown as { name: string; value: string }[]).map(({ name, value }) => [name, value]),
        );
      await page.getByRole('button', { name: 'Retry batches (1)' }).click();
      await page.getByRole('alert').getByText('1 done.').waitFor();
      await waitForEnd(2);

      const again = await fetch(`${openApi.url}/console/bulk/batches`, {
        method: 'POST',
        body: new URLSearchParams(inputs as [string, string][]),
        headers: { 'sec-fetch-site': 'same-origin' },
      });

      expect(await again.text()).toContain('1 done.');
      expect(await read()).toMatchObject({ status: 'completed_with_failures', attempt: 2 });
    });

    /** Starts an API that waits for `release` before it sends an update to a workflow of `held`. */
    async function startGatedApi(held: (workflowId: string) => boolean) {
      let release = () => {};
      const gate = new Promise<void>((resolve) => (release = resolve));
      let log = '';
      const { connection, options } = shop.client;
      const client = new Client({
        connection,
        namespace: options.namespace,
        interceptors: {
          workflow: [
            {
              async startUpdate(input, next) {
                if (held(input.workflowExecution.workflowId ?? '')) await gate;
                return await next(input);
              },
            },
          ],
        },
      });
      const logger = pino({ level: 'info' }, { write: (line: string) => void (log += line) });
      const gated = await startApi({ client, store: shop.store, logger });
      const lines = () =>
        log
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>);
      const itemResults = () =>
        lines().flatMap(({ msg, params, result }) =>
          msg === 'action' && result !== undefined ? [[(params as { orderId: string }).orderId, result]] : [],
        );
      return { api: gated, release, lines, itemResults };
    }

    /** Sends the form that cancels orders. */
    const cancelMany = ({ url }: Api, orderIds: string[], init: RequestInit = {}) =>
      fetch(`${url}/console/bulk/orders`, {
        method: 'POST',
        body: new URLSearchParams({ action: 'cancel', ids: orderIds.join(' ') }),
        headers: { 'sec-fetch-site': 'same-origin' },
        ...init,
      });

    const placeOrders = (count: number, customerId: string) =>
      Promise.all(Array.from({ length: count }, () => placeOrder(customerId)));

    test.each([
      ['with JavaScript', {}],
      ['without JavaScript', { javaScriptEnabled: false }],
    ])('%s, the page shows the results of orders while another order still changes', async (title, options) => {
      const customerId = `waiting-${title.length}`;
      const [slow = '', ...others] = await placeOrders(3, customerId);
      const gated = await startGatedApi((workflowId) => workflowId === `order:${slow}`);
      const url = `${gated.api.url}/console/bulk/orders?action=cancel&customerId=${customerId}`;
      const { page, browserErrors } = await browser.open(url, options);
      await page.getByRole('button', { name: 'Cancel orders (3)' }).click({ noWaitAfter: true });

      await page.getByRole('cell', { name: '2 of 3' }).waitFor();
      // The API gives up an update that takes longer than eight seconds, so the gate opens at once.
      const shown = await page.getByRole('main').innerText();
      gated.release();
      expect(shown).toContain('3 orders are selected.');
      for (const id of others) expect(shown).toContain(id);
      expect(shown).not.toContain(slow);
      expect(shown).not.toMatch(/\d done/);

      await page.getByRole('alert').getByText('3 done.').waitFor();
      const last = page.getByRole('row').last();
      expect(await last.innerText()).toContain(slow);
      expect(await last.innerText()).toContain('3 of 3');
      expect(
        gated
          .itemResults()
          .map(([id]) => id)
          .sort(),
      ).toEqual([slow, ...others].sort());
      expect(browserErrors).toEqual([]);
      await page.context().close();
      await gated.api.close();
    });

    test('the page has the security headers of the console', async () => {
      const [orderId = ''] = await placeOrders(1, 'headers');
      const result = await cancelMany(openApi, [orderId]);
      const preview = await fetch(`${openApi.url}/console/bulk/orders`);

      for (const name of ['content-security-policy', 'cache-control', 'referrer-policy', 'x-content-type-options'])
        expect([name, result.headers.get(name)]).toEqual([name, preview.headers.get(name)]);
      expect(result.headers.get('content-security-policy')).toContain(`script-src 'self'`);
      expect(result.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(await result.text()).toMatch(/<h1>Cancel orders: result<\/h1>.*1 done\..*<\/html>\s*$/s);
    });

    test('starts no further change after the client has disconnected, and logs the result of each order', async () => {
      const orderIds = await placeOrders(9, 'leaver');
      const gated = await startGatedApi(() => true);
      const leaving = new AbortController();
      const response = await cancelMany(gated.api, orderIds, { signal: leaving.signal });
      const reader = response.body!.getReader();
      await reader.read();
      leaving.abort();
      await expect(reader.read()).rejects.toThrow();
      const hasDisconnected = () => gated.lines().some(({ msg }) => msg === 'stream closed prematurely') || undefined;
      await waitUntil(hasDisconnected, { description: 'the disconnect', timeoutMs: 20_000 });
      gated.release();

      const warning = () => gated.lines().find(({ msg }) => msg === 'the client left a bulk action before its end');
      const line = await waitUntil(async () => warning(), { description: 'the log line', timeoutMs: 20_000 });
      expect(line).toMatchObject({ action: 'cancel', result: '8 done, 1 not started', caller: 'anonymous' });
      const last = orderIds.at(-1)!;
      expect(Object.fromEntries(gated.itemResults())).toEqual(
        Object.fromEntries(orderIds.map((id) => [id, id === last ? 'not_started' : 'done'])),
      );
      expect(await statusOf(last)).toBe('processing');
      await gated.api.close();
    });

    test('completes the page when the server closes, without starting further changes', async () => {
      const orderIds = await placeOrders(9, 'closing');
      const gated = await startGatedApi(() => true);
      const response = await cancelMany(gated.api, orderIds);
      const closed = gated.api.close();
      gated.release();

      expect(await response.text()).toContain('8 done, 1 not started.');
      await closed;
      expect(await statusOf(orderIds.at(-1)!)).toBe('processing');
    });

    test.each(DEVICES)('the pages are accessible and fit on $device', async ({ options }) => {
      const customerId = `reader-${options.viewport!.width}`;
      await placeOrder(customerId);
      const opened = await open(`/bulk/orders?action=cancel&customerId=${customerId}`, options);
      await expectGoodPage(opened);
      await opened.page.getByRole('button', { name: 'Cancel orders (1)' }).click();
      await opened.page.getByRole('alert').waitFor();
      await expectGoodPage(opened);
      await expectGoodPage(await open('/bulk/batches', options));
    });

    test('an invalid limit is reported, and the filter is kept', async () => {
      const { page } = await open('/bulk/orders?customerId=ada&limit=501', { javaScriptEnabled: false });

      await page.getByRole('alert').getByText('At most: Enter a whole number from 1 to 500').waitFor();
      expect(await page.getByLabel('Customer').inputValue()).toBe('ada');
      expect(await page.getByLabel('At most').inputValue()).toBe('501');
    });

    test('only operators may open the pages and call the operations', async () => {
      const orderId = await placeOrder(shopper.id);
      const status = async (method: string, path: string, headers: Record<string, string>, body?: string) =>
        (
          await fetch(api.url + path, {
            method,
            headers: { ...shopper.authHeader, ...headers },
            ...(body && { body }),
          })
        ).status;
      const form = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' };
      const json = { 'content-type': 'application/json' };

      expect(await status('GET', '/console/bulk/orders', {})).toBe(403);
      expect(await status('GET', '/console/bulk/batches', {})).toBe(403);
      expect(await status('POST', '/console/bulk/orders', form, `action=cancel&ids=${orderId}`)).toBe(403);
      const body = JSON.stringify({ action: 'cancel', orderIds: [orderId] });
      expect(await status('POST', '/v1/orders/bulk', json, body)).toBe(403);
      expect(await statusOf(orderId)).toBe('processing');
    });
  });
});
