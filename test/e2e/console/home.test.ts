import { randomUUID } from 'node:crypto';
import { TypedSearchAttributes, type SearchAttributePair } from '@temporalio/common';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CallerRole } from '../../../src/schemas/api-key.js';
import type { OrderStatus } from '../../../src/schemas/order.js';
import {
  approvalDueAtAttribute,
  approversAttribute,
  approvalStatusAttribute,
} from '../../../src/workflows/approval/contract.js';
import { batchStatusAttribute } from '../../../src/workflows/batch/contract.js';
import { customerIdAttribute, orderStatusAttribute } from '../../../src/workflows/order/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, tabTo } from '../../support/api/console-pages.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const UNREAD_TASK_QUEUE = 'no-worker-of-this-test';

describeOnDevServer('the first page of the console', () => {
  describeInBrowser('in a browser', () => {
    let server: Awaited<ReturnType<typeof startDevServer>>;
    // The page counts all workflows and reports, so each test has its own namespace and database.
    let shop: Shop;
    let api: Api;

    beforeAll(async () => {
      server = await startDevServer();
    });
    beforeEach(async () => {
      shop = await startShop(await server.openNamespace(`home-${randomUUID()}`), { queues: ['orders', 'payments'] });
      // No batch of this test really runs, so the store returns the idle time of a stalled batch.
      const store = {
        ...shop.store,
        readBatchIdleSeconds: async (ids: readonly string[]) => ids.map(() => 601),
      };
      api = await startApi({
        ...shop,
        store,
        links: { temporalUi: 'http://127.0.0.1:8233' },
        consoleLinks: [{ title: 'Mailbox', url: 'http://127.0.0.1:3001/mails' }],
      });
    });
    afterEach(async () => {
      await api?.close();
      await shop?.close();
    });

    /** Starts a workflow that no worker runs. Only its search attributes matter. */
    async function startIdle(type: string, attributes: SearchAttributePair[]): Promise<void> {
      await shop.client.workflow.start(type, {
        workflowId: `${type}:${randomUUID()}`,
        taskQueue: UNREAD_TASK_QUEUE,
        typedSearchAttributes: new TypedSearchAttributes(attributes),
      });
    }
    /** Starts the workflow of an order that no worker runs, and records the order in the store. */
    async function startOrder(status: OrderStatus, customerId = 'ada'): Promise<string> {
      await startIdle('order', [
        { key: orderStatusAttribute, value: status },
        { key: customerIdAttribute, value: customerId },
      ]);
      const orderId = randomUUID();
      const order = { order_id: orderId, customer_id: customerId, first_run_id: 'run', content_hash: 'hash', status };
      await shop.store.db
        .insertInto('orders')
        .values({ ...order, stage: 'in_transit', reservation: 'reserved', placed_at: new Date() })
        .execute();
      return orderId;
    }
    const startStuckOrder = (customerId?: string) => startOrder('compensation_stuck', customerId);

    async function startPendingApproval(approver: string): Promise<void> {
      const dueAt = new Date(Date.now() - 60_000);
      await startIdle('approval', [
        { key: approvalStatusAttribute, value: 'pending' },
        { key: approvalDueAtAttribute, value: dueAt },
        { key: approversAttribute, value: [approver] },
      ]);
      await shop.store.openApproval({
        approvalId: randomUUID(),
        firstRunId: 'run',
        contentHash: 'hash',
        title: 'May I?',
        requestedBy: 'ada',
        stage: 1,
        stages: 1,
        approvers: [approver],
        requestedAt: dueAt,
        deadline: dueAt,
      });
    }

    /** Records one report that needs a person, and one that does not. */
    async function recordReports(): Promise<void> {
      const report = { orderId: 'closed-order', shipmentId: 'ship-1', status: 'delivered' };
      await shop.store.recordUnhandledReport({ ...report, webhookId: randomUUID(), reason: 'contradicts_outcome' });
      await shop.store.recordUnhandledReport({ ...report, webhookId: randomUUID(), reason: 'order_closed' });
    }

    /** Creates one of each thing that needs a person. */
    async function startOpenItems(): Promise<void> {
      await startStuckOrder();
      await startOrder('delivery_overdue');
      await startPendingApproval('grace');
      await startIdle('batch', [{ key: batchStatusAttribute, value: 'paused' }]);
      await startIdle('batch', [{ key: batchStatusAttribute, value: 'running' }]);
      await recordReports();
    }

    const browser = useBrowser();
    const openHome = (options: BrowserContextOptions = {}, url = api.url) => browser.open(`${url}/console`, options);

    /** Waits for a link with this text, and returns its path. */
    async function linkPath(page: Page, name: string | RegExp): Promise<string | null> {
      const link = page.getByRole('main').getByRole('link', { name });
      await link.waitFor({ timeout: 20_000 });
      return await link.getAttribute('href');
    }

    const rowOf = (page: Page, name: string | RegExp) => page.getByRole('row', { name }).innerText();

    test('says that nothing needs a person, and names the task queues without a worker', async () => {
      const { page } = await openHome({ javaScriptEnabled: false });
      expect(await page.getByText('Nothing needs you now.').isVisible()).toBe(true);
      expect(await rowOf(page, 'Workers of task queue batches')).toContain('no worker polls task queue batches');
      expect(await rowOf(page, 'Task queues without a backlog')).toContain('orders, payments');
      expect(await rowOf(page, 'External systems')).toContain('no retries');
      expect(await rowOf(page, 'PostgreSQL')).toContain('available');
      expect(await linkPath(page, 'Temporal Web UI')).toBe('http://127.0.0.1:8233');
      expect(await linkPath(page, 'API reference')).toBe('/docs');
      expect(await linkPath(page, 'Mailbox')).toBe('http://127.0.0.1:3001/mails');
    });

    test('links each count of what needs a person to the filtered list, and updates the counts', async () => {
      const { page, browserErrors } = await openHome();
      await startOpenItems();

      const paths = {
        '1 order with a stuck compensation': '/console/orders?status=compensation_stuck',
        '1 order with an overdue delivery': '/console/orders?status=delivery_overdue',
        '1 approval is overdue, see the pending approvals': '/console/approvals?status=pending',
        '1 approval waits for a decision': '/console/approvals?status=pending',
        '1 batch is paused': '/console/batches?status=paused',
        '1 running batch makes no progress': '/console/batches?status=running',
        '1 carrier report without an effect in the last 7 days': '/console/shipment-reports',
      };
      for (const [name, path] of Object.entries(paths)) expect(await linkPath(page, name)).toBe(path);
      expect(await page.getByText('Nothing needs you now.').count()).toBe(0);

      await startStuckOrder();
      await linkPath(page, '2 orders with a stuck compensation');
      const card = page.getByRole('listitem').filter({ hasText: 'Saga:' });
      expect(await card.locator('.count').innerText()).toBe('3');
      expect(await card.getByRole('link').getAttribute('href')).toBe('/console/orders');
      await tabTo(page.getByRole('link', { name: '2 orders with a stuck compensation' }));
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/console\/orders\?status=compensation_stuck$/);
      expect(browserErrors).toEqual([]);
    });

    test('lists the oldest 20 orders that need a decision, and counts the other ones', async () => {
      const orderIds: string[] = [];
      for (let order = 0; order < 22; order += 1) orderIds.push(await startOrder('processing'));
      const problem = 'the carrier has picked up the parcel';
      await shop.store.recordUnreconciledOrders(orderIds.map((orderId) => ({ orderId, problem })));
      const { page } = await openHome();
      const items = page.getByRole('listitem').filter({ hasText: 'needs a decision' });
      await items.first().waitFor({ timeout: 20_000 });
      expect(await items.count()).toBe(20);
      expect(await items.first().innerText()).toContain(problem);
      const more = page.getByText('Orders that also need a decision: 2');
      expect(await more.isVisible()).toBe(true);
    });

    test('shows which partner the newest orders retry, and why', async () => {
      const { sku } = await addProduct(shop.store);
      const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
      shop.fakes.faults.add({ on: 'charge', orderId: order.orderId, fault: 'error', status: 503, times: -1 });
      await api.post('/v1/orders', order);
      const { page } = await openHome();
      const row = page.getByRole('row').filter({ hasText: 'Payment gateway' }).filter({ hasText: order.orderId });
      await row.waitFor({ timeout: 20_000 });
      expect(await row.innerText()).toMatch(/retrying.*1 call is retried .* chargePayment .*attempt \d+.*503/s);

      shop.fakes.faults.clear(order.orderId);
      await page.getByRole('row').filter({ hasText: 'no retries' }).waitFor({ timeout: 20_000 });
    });

    test('lists the carrier reports without an effect live, filtered by reason', async () => {
      const opened = await browser.open(`${api.url}/console/shipment-reports`);
      await recordReports();
      await opened.page.getByRole('link', { name: 'closed-order' }).nth(1).waitFor({ timeout: 20_000 });
      expect(await opened.page.getByRole('row').count()).toBe(3);
      await opened.page.getByRole('combobox').selectOption('contradicts_outcome');
      await opened.page.getByRole('button', { name: 'Filter' }).click();
      await opened.page.waitForURL(/reason=contradicts_outcome/);
      expect(await opened.page.getByRole('row').count()).toBe(2);
      expect(await opened.page.getByRole('link', { name: 'closed-order' }).getAttribute('href')).toBe(
        '/console/orders/closed-order',
      );
      await expectGoodPage(opened);
    });

    test.each(DEVICES)('is accessible and fits the screen on $device', async ({ options }) => {
      await startOpenItems();
      const home = await openHome(options);
      await linkPath(home.page, '1 order with a stuck compensation');
      await expectGoodPage(home);
      await expectGoodPage(await browser.open(`${api.url}/console/shipment-reports`, options));
    });

    test('shows shoppers and approvers only what is theirs', async () => {
      const customer = createCaller(['shopper'], 'ada');
      const approver = createCaller(['approver'], 'grace');
      const inspector = createCaller(['inspector']);
      const closedApi = await startApi({ ...shop, auth: authOf(customer, approver, inspector) });
      try {
        const openAs = async (caller: TestCaller) => (await browser.openAs(caller, `${closedApi.url}/console`)).page;
        const mainOf = (page: Page) => page.getByRole('main').innerText();

        await startStuckOrder('ada');
        await startStuckOrder('bob');
        await startPendingApproval('grace');
        const shopperPage = await openAs(customer);
        expect(await linkPath(shopperPage, 'open order')).toBe('/console/orders');
        expect(await mainOf(shopperPage)).toMatch(/^Shop console\s+1\s+open order\s+0\s+open carts\s+Links/);

        const approverPage = await openAs(approver);
        expect(await linkPath(approverPage, 'approval waits for you')).toBe('/console/approvals');
        expect(await mainOf(approverPage)).toMatch(/^Shop console\s+1\s+approval waits for you\s+Links/);

        const statusFor = async (roles: CallerRole, path: string) => {
          const caller = { shopper: customer, approver, inspector, operator: undefined }[roles]!;
          return (await fetch(closedApi.url + path, { headers: caller.authHeader })).status;
        };
        expect(await statusFor('inspector', '/console')).toBe(403);
        expect(await statusFor('shopper', '/console/shipment-reports')).toBe(403);
      } finally {
        await closedApi.close();
      }
    });

    test('shows the other parts when Temporal is unreachable, and says what is missing', async () => {
      await recordReports();
      const backends = await createUnreachableBackends();
      const brokenApi = await startApi({ store: shop.store, client: backends.client });
      try {
        const opened = await openHome({}, brokenApi.url);
        const { page } = opened;
        await expectGoodPage(opened);
        expect(await rowOf(page, /^Temporal/)).toMatch(/unavailable.*Temporal does not answer/s);
        expect(await rowOf(page, 'PostgreSQL')).toContain('available');
        expect(await linkPath(page, /^1 carrier report/)).toBe('/console/shipment-reports');
        const missing = await page.getByText('Some counts are missing').innerText();
        expect(missing).toContain('batches are paused');
        expect(missing).not.toMatch(/carrier reports|stuck compensation|approvals/);
        expect(missing).toContain('Reason: Temporal does not answer.');
      } finally {
        await brokenApi.close();
        await backends.close();
      }
    });
  });
});
