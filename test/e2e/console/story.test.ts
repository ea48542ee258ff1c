import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { OrderInput, OrderLine } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { openStore, type Store } from '../../../src/store/index.js';
import type { Stack } from '../../../tools/stack/stack.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { takeStatusError } from '../../support/api/console-pages.js';
import {
  createSigningKey,
  epochSecondsFromNow,
  startTokenIssuer,
  type SigningKey,
  type TokenIssuer,
} from '../../support/network/token-issuer.js';
import { waitUntil } from '../../support/processes.js';
import { readBalance } from '../../support/shop/balance.js';
import { addProduct, readStock } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const START_TIMEOUT_MS = 180_000;
const STORY_TIMEOUT_MS = 120_000;

/** An update of a page arrives about a second after the change. A busy machine takes longer. */
const UPDATED = { timeout: 30_000 };

/** Temporal detects the lost worker after its timeouts. */
const RECOVERED = { timeout: 60_000 };

/** A session with a token of this lifetime ends during its test. */
const TOKEN_SECONDS = 10;

const [ada, bob] = [createCaller(['shopper'], 'ada'), createCaller(['shopper'], 'bob')];
const operator = createCaller(['operator'], 'olga');
/** The development stack asks this approver first about a large order. */
const approver = createCaller(['approver'], 'shift-lead');

describeOnDevServer('the story of the shop', () => {
  describeInBrowser('in a browser, on the development stack with its worker as a process', () => {
    let issuer: TokenIssuer;
    let signingKey: SigningKey;
    let stack: Stack;
    let store: Store;
    let apiUrl: string;
    let fakesUrl: string;

    beforeAll(async () => {
      signingKey = await createSigningKey('story');
      issuer = await startTokenIssuer();
      issuer.publishKeys(signingKey);
      stack = await startTemporaryStack({
        carrierPickupSeconds: 0,
        carrierDeliverySeconds: 1,
        applicationEnv: {
          WORKFLOW_BUNDLE: inject('workflowBundle'),
          API_KEYS: JSON.stringify(authOf(ada, bob, operator, approver).apiKeys),
          JWT_ISSUER: issuer.settings.issuer,
          JWT_AUDIENCE: issuer.settings.audience,
          JWT_JWKS_URL: issuer.settings.jwksUrl,
        },
      });
      apiUrl = stack.addresses.apiUrl;
      fakesUrl = new URL(stack.addresses.paymentsUrl).origin;
      store = openStore({
        databaseUrl: stack.addresses.ownerDatabaseUrl,
        maxConnections: 2,
        onIdleError: () => undefined,
      });
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      await store?.close();
      await stack?.stop();
      await issuer?.close();
    });

    const browser = useBrowser();

    /** Opens a page of the console as a person who signs in with a key or token. */
    async function signIn(credential: string, path: string) {
      const opened = await browser.open(apiUrl + path);
      await opened.page.getByLabel('API key or token').fill(credential);
      await opened.page.getByRole('button', { name: 'Sign in' }).click();
      await opened.page.waitForURL((url) => url.pathname + url.search === path);
      return opened;
    }

    const fakes = async (method: string, path: string, body?: object) => {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${fakesUrl}/test${path}`, {
        method,
        ...(body && { body: JSON.stringify(body), headers }),
      });
      expect(response.ok).toBe(true);
      return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>);
    };

    /** Holds the charge of an order back after its effect, until `release`. */
    async function holdCharge(orderId: string) {
      const { holdId } = await fakes('POST', '/holds', { on: 'charge', orderId });
      const hasArrived = async () => Number((await fakes('GET', `/holds/${String(holdId)}`)).arrived) > 0 || undefined;
      return {
        arrived: () => waitUntil(hasArrived, { description: 'the charge', timeoutMs: UPDATED.timeout }),
        release: () => fakes('DELETE', `/holds/${String(holdId)}`),
      };
    }

    /** What the order changed, according to the store and to the ledger of the partners. */
    async function balanceOf(order: { orderId: string; lines: OrderLine[]; products: Product[] }) {
      const ledger = await fakes('GET', `/ledger?orderId=${order.orderId}`);
      const records = () => ledger as unknown as ReturnType<Parameters<typeof readBalance>[0]['fakes']['records']>;
      return await readBalance({ store, fakes: { records } }, { ...order, token: 'tok_ok' });
    }

    const statusOf = async (orderId: string) => (await store.findOrder(orderId))?.status;

    /** The step of the picture with this title. */
    const step = (page: Page, title: string) => page.getByRole('listitem').filter({ hasText: title });

    test(
      'a large order is placed by form, approved in the inbox, and completes after the worker was killed',
      async () => {
        const product = (await store.findProducts(['MACHINE-LEVER'])).get('MACHINE-LEVER')!;
        const { page, browserErrors } = await signIn(ada.key, '/console/start/order');
        await page.getByRole('button', { name: 'Remove line 2' }).click();
        await page.getByLabel('SKU').fill(product.sku);
        await page.getByLabel('Quantity').fill('1');
        const orderId = await page.getByLabel('Order id').inputValue();
        const charge = await holdCharge(orderId);
        await page.getByRole('button', { name: 'Place the order' }).last().click();
        await page.waitForURL(`${apiUrl}/console/orders/${orderId}`);
        await page.evaluate('window.isFirstDocument = true');
        await page.getByText('Waits for the approval.').waitFor(UPDATED);
        expect(await step(page, 'Approval').innerText()).toContain('waiting');

        const inbox = await signIn(approver.key, '/console/approvals');
        await inbox.page.getByRole('row').filter({ hasText: orderId }).getByRole('link').click();
        await inbox.page.getByRole('button', { name: 'Approve' }).click();
        await inbox.page.getByText(`Approved by ${approver.id}`).waitFor(UPDATED);
        await page.getByText('Charges the customer.').waitFor(UPDATED);
        await charge.arrived();

        const worker = stack.processes.get('worker')!;
        const killed = worker.current.pid;
        const breakIt = await browser.open(stack.addresses.breakItUrl!);
        await breakIt.page.getByRole('button', { name: 'Kill the worker' }).click();
        await breakIt.page.getByText(`Killed the worker (process ${killed})`).waitFor();
        await page.getByText('The current state is unavailable').waitFor(UPDATED);
        expect(await page.getByText('No order is lost').isVisible()).toBe(true);
        expect(await step(page, 'Approval').innerText()).toContain('done');
        expect(await statusOf(orderId)).toBe('processing');

        const restarted = () => (worker.current.pid === killed ? undefined : worker.current.pid);
        const pid = await waitUntil(restarted, { description: 'another worker', timeoutMs: RECOVERED.timeout });
        await charge.release();
        await page.getByText('The order is completed.').waitFor(RECOVERED);
        expect(await page.evaluate('window.isFirstDocument')).toBe(true);
        expect(await step(page, 'Delivery').innerText()).toContain('done');
        await breakIt.page.reload();
        expect(await breakIt.page.getByRole('main').innerText()).toContain(`process ${pid}`);

        expect(await statusOf(orderId)).toBe('completed');
        const lines = [{ sku: product.sku, quantity: 1 }];
        expect(await balanceOf({ orderId, lines, products: [product] })).toEqual({
          verdict: 'sold',
          charged: product.price.value,
          refunded: 0,
          parcels: ['delivered'],
        });
        expect(await readStock(store, product.sku)).toBe(product.available - 1);
        expect([...browserErrors, ...inbox.browserErrors, ...breakIt.browserErrors]).toEqual([]);
      },
      STORY_TIMEOUT_MS,
    );

    test('an operator uploads a batch with bad lines, corrects them, retries the failed items, and sends the rest again', async () => {
      const product = await addProduct(store);
      const missingSku = `${product.sku}-B`;
      const opened = await signIn(operator.key, '/console/batches?upload=open');
      const { page } = opened;
      const upload = async (text: string) => {
        await page.getByRole('radio', { name: 'restock' }).check();
        const file = { name: 'stock.csv', mimeType: 'text/csv', buffer: Buffer.from(text) };
        await page.locator('input[type=file]').setInputFiles(file);
        await page.getByRole('button', { name: 'Upload and start' }).click();
      };

      await upload(`sku,quantity\n${product.sku},0\n${product.sku},1,2\n`);
      await page.getByRole('alert').getByText('2 lines are invalid').waitFor();
      takeStatusError(opened, 422);
      expect(await page.getByRole('row').filter({ hasText: 'quantity' }).first().innerText()).toMatch(/^2\s+quantity/);
      expect(await readStock(store, product.sku)).toBe(product.available);

      await upload(`sku,quantity\n${product.sku},5\n${missingSku},7\nMISSPELT,11\n`);
      await page.waitForURL(/\/console\/batches\/batch-/);
      await page.getByText('1 succeeded · 2 failed').waitFor(UPDATED);
      await page.getByText(`not in the catalogue: ${missingSku}`).waitFor(UPDATED);
      await addProduct(store, { sku: missingSku });
      await page.locator('summary', { hasText: /^Retry$/ }).click();
      await page.getByRole('button', { name: 'Retry the batch' }).click();
      await page.getByText('2 succeeded · 1 failed').waitFor(UPDATED);
      await page.getByText('completed with failures').first().waitFor(UPDATED);

      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'Download as CSV' }).click(),
      ]);
      const failed = await readFile(await download.path(), 'utf8');
      expect(failed).toBe('sku,quantity\nMISSPELT,11\n');
      await page.getByRole('link', { name: 'upload it' }).click();
      await page.getByRole('button', { name: 'Upload and start' }).waitFor();
      await upload(failed.replace('MISSPELT', product.sku));
      await page.waitForURL(/\/console\/batches\/batch-/);
      await page.getByText('completed', { exact: true }).waitFor(UPDATED);

      expect(await readStock(store, product.sku)).toBe(product.available + 5 + 11);
      expect(await readStock(store, missingSku)).toBe(product.available + 7);
      expect(opened.browserErrors).toEqual([]);
    });

    test('a customer sees that a refund is stuck, but only an operator retries it; other customers see nothing', async () => {
      const [product, other] = [await addProduct(store), await addProduct(store)];
      const lines = [{ sku: product.sku, quantity: 2 }];
      const order: OrderInput = { orderId: 'stuck-refund', customerId: bob.id, lines, payment: { token: 'tok_ok' } };
      const { orderId } = order;
      for (const on of ['shipment', 'refund'])
        await fakes('POST', '/faults', { on, orderId, fault: 'error', status: 400 });
      await placeOrder(bob, order);

      const { page, browserErrors } = await signIn(operator.key, `/console/orders/${orderId}`);
      await page
        .getByRole('status')
        .getByText('“Refund payment” has stopped, because every call of attempt 1 failed')
        .waitFor(UPDATED);
      expect(await step(page, 'Refund payment').innerText()).toMatch(/Refund payment\s+stuck/);
      expect(await page.getByRole('status').innerText()).toMatch(
        /“Refund payment” has stopped, because every call of attempt 1 failed\. Last failure: .+ Attempt 2 starts at .+ An operator can retry or skip it now\./s,
      );

      const customer = await signIn(bob.key, `/console/orders/${orderId}`);
      expect(await customer.page.getByRole('status').innerText()).toContain(
        'has stopped, because every call of attempt 1 failed',
      );
      expect(await customer.page.getByText(/^(Retry|Skip): /).count()).toBe(0);
      expect(await customer.page.getByRole('link', { name: 'Batches' }).count()).toBe(0);
      await placeOrder(ada, {
        ...order,
        orderId: 'of-another-customer',
        customerId: ada.id,
        lines: [{ sku: other.sku, quantity: 1 }],
      });
      const stranger = await signIn(ada.key, '/console/orders');
      await stranger.page.getByRole('link', { name: 'of-another-customer' }).waitFor(UPDATED);
      expect(await stranger.page.getByRole('main').innerText()).not.toContain(orderId);
      expect((await stranger.page.goto(`${apiUrl}/console/orders/${orderId}`))!.status()).toBe(404);

      await page.getByText('Skip: refund payment').first().click();
      expect(await page.getByRole('main').innerText()).toContain('The shop does not refund €25.00 to the customer');
      await page.getByText('Retry: refund payment').first().click();
      expect(await page.getByRole('main').innerText()).toContain('runs again now, as attempt 2');
      await page.getByRole('button', { name: 'Retry: refund payment' }).click();
      await page.getByRole('status').getByText('The order is failed').waitFor(UPDATED);
      expect(await step(page, 'Refund payment').innerText()).toContain('completed, attempt 2');
      await customer.page.getByRole('status').getByText('The order is failed').waitFor(UPDATED);

      expect(await statusOf(orderId)).toBe('failed');
      expect(await balanceOf({ orderId, lines, products: [product] })).toEqual({
        verdict: 'rolled back',
        charged: 2_500,
        refunded: 2_500,
        parcels: [],
      });
      expect([...browserErrors, ...customer.browserErrors]).toEqual([]);
    });

    test('the page says that the session has ended when the token expires, and then no form has an effect', async () => {
      const product = await addProduct(store);
      const orderId = 'outlives-its-session';
      const hold = await holdCharge(orderId);
      await placeOrder(ada, {
        orderId,
        customerId: ada.id,
        lines: [{ sku: product.sku, quantity: 1 }],
        payment: { token: 'tok_ok' },
      });
      const token = await issuer.createToken(signingKey, { exp: epochSecondsFromNow(TOKEN_SECONDS) });
      const { page } = await signIn(token, `/console/orders/${orderId}`);
      await page.getByText('Cancel the order', { exact: true }).click();
      await page.getByText('Your session has ended.').waitFor({ timeout: TOKEN_SECONDS * 1_000 + UPDATED.timeout });

      await page.getByRole('button', { name: 'Cancel the order now' }).click();
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      await hold.release();
      const isCompleted = async () => ((await statusOf(orderId)) === 'completed' ? true : undefined);
      await waitUntil(isCompleted, { description: 'the order', timeoutMs: RECOVERED.timeout });
    });

    test('a form of another origin does nothing', async () => {
      const { page } = await signIn(operator.key, '/console/account');
      const foreign = createServer((_request, response) => {
        const form = `<form method="post" action="${apiUrl}/console/sign-out"><button>Win a prize</button></form>`;
        response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html>${form}`);
      });
      await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
      try {
        for (const host of ['127.0.0.1', 'localhost']) {
          await page.goto(`http://${host}:${(foreign.address() as AddressInfo).port}`);
          const [response] = await Promise.all([
            page.waitForResponse((received) => received.request().method() === 'POST'),
            page.getByRole('button', { name: 'Win a prize' }).click(),
          ]);
          expect(response.status()).toBe(403);
          expect(await page.getByRole('alert').innerText()).toContain('must be submitted from the page of this API');
        }
        await page.goto(`${apiUrl}/console/account`);
        await page.getByRole('button', { name: 'Sign out' }).waitFor();
      } finally {
        foreign.close();
      }
    });

    async function placeOrder({ key }: TestCaller, order: OrderInput): Promise<void> {
      const response = await fetch(`${apiUrl}/v1/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        body: JSON.stringify(order),
      });
      expect(response.status).toBe(202);
    }
  });
});
