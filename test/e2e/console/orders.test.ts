import { randomUUID } from 'node:crypto';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage } from '../../support/api/console-pages.js';
import { makeProductOrder, placeShippedOrder } from '../../support/api/orders.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';
import { readStock, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWorker } from '../../support/workers/workers.js';

const [operator, ada, bob] = [createCaller(['operator']), createCaller(['shopper']), createCaller(['shopper'])];
const LINKS = {
  temporalUi: 'https://temporal.example.com',
  traces: 'https://traces.example.com/?tag={workflowId}',
};

/** An update of a page arrives about a second after the change. A busy machine takes longer. */
const UPDATED = { timeout: 20_000 };

describeOnDevServer('the orders in the console', () => {
  describeInBrowser('in a browser', () => {
    let server: DevServer;
    let shop: Shop;
    let api: Api;
    /** The same shop without authentication. */
    let openApi: Api;

    beforeAll(async () => {
      server = await startDevServer();
      shop = await startShop(server, { queues: ['orders', 'payments'] });
      api = await startApi({ ...shop, auth: authOf(operator, ada, bob), links: LINKS });
      openApi = await startApi(shop);
    });
    afterAll(async () => {
      await openApi?.close();
      await api?.close();
      await shop?.close();
    });

    const browser = useBrowser();
    const { openAs } = browser.below(() => `${api.url}/console/orders`);

    /** The step of the picture with this title. */
    const step = (page: Page, title: string) => page.getByRole('listitem').filter({ hasText: title });

    async function place(overrides: Partial<OrderInput> = {}) {
      const made = await makeProductOrder(shop, { customerId: ada.id, ...overrides });
      expect((await openApi.post('/v1/orders', made.order)).status).toBe(202);
      return made;
    }

    const placeShipped = () => placeShippedOrder({ shop, api: openApi }, { customerId: ada.id });

    /** Places and cancels an order whose refund fails once. */
    async function placeStuck() {
      const made = await placeShipped();
      const { orderId } = made.order;
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
      await openApi.post(`/v1/orders/${orderId}/cancel`, { reason: 'ordered twice' });
      await openApi.waitForOrder(
        orderId,
        ({ status, compensations }) => status === 'compensation_stuck' && compensations.at(-1)?.status === 'completed',
        'stuck',
      );
      return made;
    }

    /** Starts an order whose delivery is overdue one second after the pickup. */
    async function placeOverdue() {
      const made = await makeProductOrder(shop, { customerId: ada.id });
      const { orderId } = made.order;
      await shop.client.workflow.start('order', {
        workflowId: orderWorkflowId(orderId),
        taskQueue: 'orders',
        args: [{ ...made.order, deliveryTimeoutSeconds: 1 }],
      });
      await openApi.waitForOrder(orderId, ({ shipment }) => shipment !== undefined, 'shipped');
      await shop.fakes.carrier.reportNow(orderId, 'in_transit');
      await openApi.waitForOrderStatus(orderId, 'delivery_overdue');
      return made;
    }

    async function readOrder(orderId: string): Promise<OrderResource> {
      return (await openApi.get<OrderResource>(`/v1/orders/${orderId}`)).body;
    }

    test('the picture of an order and the list follow the order from the charge to the delivery without a reload', async () => {
      const { order } = await makeProductOrder(shop, { customerId: ada.id });
      const { orderId } = order;
      const charge = shop.fakes.hold('charge', orderId);
      await openApi.post('/v1/orders', order);
      await charge.arrived;

      const opened = await openAs(ada, `/${orderId}`);
      const { page } = opened;
      const list = await openAs(ada, `?orderIdPrefix=${orderId.slice(0, 18)}`);
      await page.evaluate('window.isFirstDocument = true');
      expect(await step(page, 'Reserve stock').innerText()).toMatch(/done.*Release stock\s+only if the order fails/s);
      expect(await step(page, 'Charge payment').getAttribute('aria-current')).toBe('step');
      expect(await step(page, 'Charge payment').innerText()).toContain('running');
      expect(await step(page, 'Delivery').innerText()).toContain('not reached');
      expect(await page.getByRole('status').innerText()).toBe('Charges the customer.');

      await charge.release();
      await page.getByText('Waits until the carrier picks up the parcel.').waitFor(UPDATED);
      expect(await step(page, 'Charge payment').innerText()).toContain('done');
      expect(await step(page, 'Pickup').innerText()).toContain('waiting');
      await deliverParcel(shop.fakes, orderId);
      await page.getByText('The order is completed.').waitFor(UPDATED);

      expect(await step(page, 'Delivery').innerText()).toContain('done');
      expect(await step(page, 'Charge payment').innerText()).toMatch(/Refund payment\s+not needed/);
      expect(await page.getByText('Cancel the order').count()).toBe(0);
      expect(await page.evaluate('window.isFirstDocument')).toBe(true);
      await list.page.getByRole('row').filter({ hasText: orderId }).getByText('completed').waitFor(UPDATED);
      await expectGoodPage(opened);
      expect(list.browserErrors).toEqual([]);
    });

    test('without JavaScript, the list finds an order, and its page cancels it with a reason', async () => {
      const { order, product } = await placeShipped();
      const { page } = await openAs(ada, '', { javaScriptEnabled: false });
      await page.getByRole('textbox', { name: 'Id starts with' }).fill(order.orderId.slice(0, 18));
      await page.getByRole('button', { name: 'Filter' }).click();
      expect(await page.getByRole('row').count()).toBe(2);
      await page.getByRole('link', { name: order.orderId }).click();

      await page.getByText('Cancel the order', { exact: true }).click();
      expect(await page.getByRole('main').innerText()).toContain(
        'The order stops: the carrier cancels the shipment, €25.00 is refunded, and the reserved stock is released.',
      );
      await page.getByRole('textbox', { name: 'Reason' }).fill('<b>too late</b>');
      await page.getByRole('button', { name: 'Cancel the order now' }).click();

      expect(page.url()).toBe(`${api.url}/console/orders/${order.orderId}`);
      await openApi.waitForOrderStatus(order.orderId, 'cancelled');
      await page.reload();
      expect(await page.getByRole('status').innerText()).toContain('<b>too late</b>');
      for (const compensation of ['Cancel shipment', 'Refund payment', 'Release stock'])
        expect(await step(page, compensation).innerText()).toMatch(new RegExp(`${compensation}\\s+completed`));
      expect(await step(page, 'Pickup').innerText()).toContain('cancelled');
      expect(await readStock(shop.store, product.sku)).toBe(product.available);
    });

    test('a customer cancels an order with only the keyboard, and typed text survives an update of the page', async () => {
      const { order } = await makeProductOrder(shop, { customerId: ada.id });
      const charge = shop.fakes.hold('charge', order.orderId);
      await openApi.post('/v1/orders', order);
      await charge.arrived;
      const { page, browserErrors } = await openAs(ada, `/${order.orderId}`);

      await page.getByText('Cancel the order', { exact: true }).focus();
      await page.keyboard.press('Enter');
      expect(await page.getByRole('main').innerText()).toContain('once the running charge has ended');
      await page.keyboard.press('Tab');
      await page.keyboard.type('Changed my mind');
      await page.keyboard.press('Tab');
      await charge.release();
      await page.getByText('the carrier cancels the shipment').waitFor(UPDATED);

      expect(await page.getByRole('textbox', { name: 'Reason' }).inputValue()).toBe('Changed my mind');
      await page.keyboard.press('Enter');
      await page.getByRole('status').getByText('cancelled on request: Changed my mind').waitFor(UPDATED);
      expect((await readOrder(order.orderId)).cancellation?.reason).toBe('Changed my mind');
      expect(browserErrors).toEqual([]);
    });

    test('a status that is chosen with the keyboard survives an update of the list', async () => {
      const { page, browserErrors } = await openAs(operator, '');
      const status = page.getByRole('combobox', { name: 'Status' });
      await status.focus();
      await page.keyboard.press('ArrowDown');
      const chosen = await status.inputValue();
      expect(chosen).not.toBe('');
      await page.keyboard.press('Tab');
      expect(await status.evaluate((select) => select === select.ownerDocument.activeElement)).toBe(false);

      const { order } = await place();
      await page.getByRole('link', { name: order.orderId }).waitFor(UPDATED);
      expect(await status.inputValue()).toBe(chosen);

      await page.keyboard.press('Enter');
      await page.waitForURL(new RegExp(`status=${chosen}`));
      expect(browserErrors).toEqual([]);
    });

    test('a decision that is sent twice takes effect once, and a decision about an earlier attempt shows why it has no effect', async () => {
      const { order } = await placeStuck();
      const send = (form: Record<string, string>) =>
        fetch(`${api.url}/console/orders/${order.orderId}/compensation`, {
          method: 'POST',
          body: new URLSearchParams({ compensation: 'refundPayment', ...form }),
          headers: { ...FROM_OWN_PAGE, ...operator.authHeader },
          redirect: 'manual',
        });

      const twice = await Promise.all([1, 2].map(() => send({ attempt: '1', action: 'skip' })));
      expect(twice.map(({ status }) => status)).toEqual([303, 303]);

      const late = await send({ attempt: '1', action: 'retry' });
      expect(late.status).toBe(409);
      expect(await late.text()).toContain('Nothing was changed');
      expect((await readOrder(order.orderId)).compensations.map(({ status }) => status)).toContain('skipped');
    });

    test('an operator gives an overdue delivery more time, and an invalid time is kept with the problem', async () => {
      const { order } = await placeOverdue();
      const { page } = await openAs(operator, `/${order.orderId}`);
      expect(await step(page, 'Delivery').innerText()).toContain('overdue');
      const hours = page.getByRole('textbox', { name: 'Extra time in hours' });
      await page.getByText('Wait longer', { exact: true }).first().click();
      await hours.fill('a day');
      const answered = page.waitForResponse((response) => response.request().method() === 'POST');
      await page.getByRole('button', { name: 'Wait longer' }).click();
      expect((await answered).status()).toBe(400);
      expect(await page.getByRole('alert').innerText()).toContain(
        'Nothing was changed. Extra time in hours: Enter a whole number from 1 to 8,760',
      );
      expect(await hours.inputValue()).toBe('a day');
      expect(await hours.getAttribute('aria-invalid')).toBe('true');

      await hours.fill('48');
      await page.getByRole('button', { name: 'Wait longer' }).click();
      await page.getByText('The parcel is in transit.').waitFor(UPDATED);
      const { delivery, status } = await readOrder(order.orderId);
      expect(status).toBe('processing');
      expect(Date.parse(delivery!.dueAt)).toBeGreaterThan(Date.now() + 47 * 3_600_000);
      expect(Date.parse(delivery!.dueAt)).toBeLessThan(Date.now() + 49 * 3_600_000);
    });

    test('an operator writes off an overdue parcel: the payment is refunded and the stock is not returned', async () => {
      const { order, product } = await placeOverdue();
      const { page, browserErrors } = await openAs(operator, `/${order.orderId}`);
      await page.getByText('Write off the parcel', { exact: true }).first().click();
      expect(await page.getByRole('main').innerText()).toContain(
        'The parcel counts as lost and the order fails: €25.00 is refunded, the stock is not returned',
      );
      await page.getByRole('button', { name: 'Write off the parcel' }).click();

      await page.getByText('The order is failed: an operator wrote the parcel off.').waitFor(UPDATED);
      expect(await step(page, 'Delivery').innerText()).toContain('failed');
      expect(shop.fakes.records(order.orderId).refunds).toHaveLength(1);
      expect(await readStock(shop.store, product.sku)).toBe(product.available - 2);
      expect(browserErrors).toEqual([]);
    });

    test('shoppers see only their own orders, no decisions of operators, and no internals', async () => {
      const { order } = await placeStuck();
      const { order: theirs } = await place({ customerId: bob.id });
      const retried = await makeProductOrder(shop, { customerId: ada.id });
      shop.fakes.faults.add({ on: 'charge', orderId: retried.order.orderId, fault: 'error', status: 503, times: 10 });
      await openApi.post('/v1/orders', retried.order);

      const list = await openAs(ada, '');
      expect(await list.page.getByText(order.orderId).count()).toBe(1);
      expect(await list.page.getByText(theirs.orderId).count()).toBe(0);
      expect(await list.page.getByRole('textbox', { name: 'Customer' }).count()).toBe(0);

      const stuck = await openAs(ada, `/${order.orderId}`);
      expect(await stuck.page.getByRole('status').innerText()).toContain(
        'has stopped, because every call of attempt 1 failed',
      );
      expect(await stuck.page.getByText(/^(Retry|Skip): /).count()).toBe(0);
      expect(await stuck.page.getByRole('link', { name: 'Temporal Web UI' }).count()).toBe(0);

      const forOperator = await openAs(operator, `/${retried.order.orderId}`);
      await forOperator.page.getByText('Last failure').waitFor(UPDATED);
      const forCustomer = await openAs(ada, `/${retried.order.orderId}`);
      await forCustomer.page.getByText('Charge payment is retried').waitFor(UPDATED);
      expect(await forCustomer.page.getByText('Last failure').count()).toBe(0);

      const statusOf = async (path: string, init: RequestInit = {}) =>
        (
          await fetch(`${api.url}/console/orders${path}`, {
            ...init,
            headers: { ...FROM_OWN_PAGE, ...ada.authHeader },
            redirect: 'manual',
          })
        ).status;
      const decision = new URLSearchParams({ compensation: 'refundPayment', attempt: '1', action: 'skip' });
      expect(await statusOf(`/${theirs.orderId}`)).toBe(404);
      expect(await statusOf(`/${theirs.orderId}/live`)).toBe(404);
      expect(await statusOf(`/${theirs.orderId}/cancel`, { method: 'POST' })).toBe(404);
      expect(await statusOf(`?customerId=${bob.id}`)).toBe(403);
      expect(await statusOf(`/live?customerId=${bob.id}`)).toBe(403);
      expect(await statusOf(`/${order.orderId}/compensation`, { method: 'POST', body: decision })).toBe(403);
      expect((await readOrder(theirs.orderId)).cancellation).toBeUndefined();
    });

    test('operators get links to the workflow in the Web UI and to its traces, and without a link they read what to search for', async () => {
      const { order } = await place();
      const { runId } = (await openApi.waitForOrderStage(order.orderId, 'awaiting_pickup')).workflow;
      const { page } = await openAs(operator, `/${order.orderId}`);

      const urlOf = (name: string) => page.getByRole('link', { name }).getAttribute('href');
      expect(await urlOf('Temporal Web UI')).toBe(
        `https://temporal.example.com/namespaces/${shop.client.options.namespace}/workflows/order%3A${order.orderId}/${runId}/history`,
      );
      expect(await urlOf('Traces')).toBe(`https://traces.example.com/?tag=order%3A${order.orderId}`);
      expect(await page.getByRole('link', { name: 'Log lines' }).count()).toBe(0);
      expect(await page.getByRole('main').innerText()).toContain(`grep -h '${order.orderId}'`);
      expect(await page.getByText('temporalWorkflowId=').count()).toBe(0);

      const withoutLinks = await fetch(`${openApi.url}/console/orders/${order.orderId}`);
      expect(await withoutLinks.text()).toContain(`temporalWorkflowId=order:${order.orderId}`);
    });

    test('an unknown order and an invalid filter have pages that say what to do', async () => {
      const unknown = await openAs(operator, `/${randomUUID()}`);
      expect(await unknown.page.getByRole('main').innerText()).toMatch(/There is no order .*Possible reasons:/s);
      const dates = await openAs(operator, '?placedFrom=today');
      expect(await dates.page.getByRole('alert').innerText()).toContain(
        'Placed from (UTC): Enter a date such as 2026-01-31',
      );
      const filter = await openAs(operator, '?customerId=a%20b&orderIdPrefix=x');
      expect(await filter.page.getByRole('alert').innerText()).toContain('Customer: must be 1 to 120 ASCII letters');
      expect(await filter.page.getByRole('textbox', { name: 'Customer' }).inputValue()).toBe('a b');
      const empty = await openAs(operator, '?orderIdPrefix=nothing-here');
      expect(await empty.page.getByRole('link', { name: 'open the order nothing-here' }).count()).toBe(1);
    });

    test.each(DEVICES)('the pages of the orders are accessible and fit on $device', async ({ options }) => {
      const { order: stuck } = await placeStuck();
      const { order: overdue } = await placeOverdue();
      await expectGoodPage(await openAs(operator, '', options));
      for (const { orderId } of [stuck, overdue]) {
        const opened = await openAs(operator, `/${orderId}`, options);
        for (const summary of await opened.page.locator('summary').all()) await summary.click();
        await expectGoodPage(opened);
      }
    });

    test('while no worker runs, the page shows the last steps and the reason, and follows the order when a worker is back', async () => {
      const other = await server.openNamespace(`console-${randomUUID()}`);
      const otherShop = await startShop(other, { withWorker: false });
      const otherApi = await startApi(otherShop);
      let worker = await startWorker(other, otherShop);
      try {
        const { order } = await placeShippedOrder({ shop: otherShop, api: otherApi });
        const opened = await browser.open(`${otherApi.url}/console/orders/${order.orderId}`);
        const { page } = opened;
        await page.evaluate('window.isFirstDocument = true');
        await step(page, 'Pickup').getByText('waiting').waitFor(UPDATED);
        await worker.stop();
        await deliverParcel(otherShop.fakes, order.orderId);

        await page.getByText('The current state is unavailable').waitFor(UPDATED);
        expect(await page.getByText('No order is lost').isVisible()).toBe(true);
        expect(await step(page, 'Request shipment').innerText()).toContain('done');
        expect(await step(page, 'Pickup').innerText()).toContain('waiting');
        expect(await page.getByText('Cancel the order').count()).toBe(0);

        const anew = await browser.open(page.url(), { javaScriptEnabled: false });
        expect(await anew.page.getByRole('main').innerText()).toContain('what Temporal and the store know');
        expect(await step(anew.page, 'Charge payment').innerText()).toContain('done');
        await expectGoodPage(opened);

        worker = await startWorker(other, otherShop);
        await page.getByText('The order is completed.').waitFor(UPDATED);
        expect(await page.getByText('The current state is unavailable').count()).toBe(0);
        expect(await page.evaluate('window.isFirstDocument')).toBe(true);
      } finally {
        await worker.stop();
        await otherApi.close();
        await otherShop.close();
      }
    });
  });
});
