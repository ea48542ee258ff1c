import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type Api } from '../../support/api/api.js';
import { useBatchApi } from '../../support/api/batch-api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, takeStatusError } from '../../support/api/console-pages.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { addProduct, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const operator = createCaller(['operator']);
const approver = createCaller(['approver']);

interface TestFile {
  name: string;
  text: string;
}

describeOnDevServer('the batches in the console', () => {
  describeInBrowser('in a browser', () => {
    const batchApi = useBatchApi();
    const { tests, get, stockOf, startBlockedBatch, runBatchWithFailures } = batchApi;
    let shop: Shop;
    let api: Api;

    beforeAll(async () => {
      shop = batchApi.shop;
      api = await startApi({ ...shop, auth: authOf(operator, approver) });
    });
    afterAll(async () => {
      await api?.close();
    });

    const browser = useBrowser().below(() => `${api.url}/console/batches`);
    const open = (path: string, options?: BrowserContextOptions) => browser.openAs(operator, path, options);

    async function upload(page: Page, { name, text }: TestFile, batchId?: string): Promise<void> {
      await page.getByRole('radio', { name: 'restock' }).check();
      if (batchId !== undefined) await page.getByRole('textbox', { name: 'Batch id' }).fill(batchId);
      await page
        .getByLabel('File', { exact: false })
        .and(page.locator('input[type=file]'))
        .setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
      await page.getByRole('button', { name: 'Upload and start' }).click();
    }

    test('without JavaScript, uploads a file with bad lines, corrects it, and sends the failed items again', async () => {
      const { sku } = await addProduct(shop.store);
      const stockBefore = await stockOf(sku);
      const batchId = randomUUID();
      const { page } = await open('?upload=open', { javaScriptEnabled: false });

      await upload(page, { name: 'stock.csv', text: `sku,quantity\n${sku},0\n${sku},1,2\n` }, batchId);
      await page.getByRole('alert').getByText('2 lines are invalid').waitFor();
      expect(await page.getByRole('row').filter({ hasText: 'quantity' }).first().innerText()).toMatch(
        /^2\s+quantity\s+Enter a whole number from 1 to 1,000,000/,
      );
      expect(await page.getByRole('textbox', { name: 'Batch id' }).inputValue()).toBe(batchId);
      expect(await page.getByRole('radio', { name: 'restock' }).isChecked()).toBe(true);
      expect((await get(batchId)).status).toBe(404);

      await upload(page, { name: 'stock.csv', text: `sku,quantity\n${sku},5\nMISSPELT,7\n` });
      await page.waitForURL(`${api.url}/console/batches/${batchId}`);
      await batchApi.waitForStatus(batchId, 'completed_with_failures');
      await page.reload();
      await page.getByText('not in the catalogue: MISSPELT').waitFor({ timeout: 20_000 });
      await page.getByText('2 of 2 items done').waitFor();
      expect(await page.getByText('1 succeeded · 1 failed').isVisible()).toBe(true);

      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'Download as CSV' }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`${batchId}-failures.csv`);
      const failed = await readFile(await download.path(), 'utf8');
      expect(failed).toBe('sku,quantity\nMISSPELT,7\n');

      await page.getByRole('link', { name: 'upload it' }).click();
      await page.getByRole('button', { name: 'Upload and start' }).waitFor();
      expect(await page.getByRole('radio', { name: 'restock' }).isChecked()).toBe(true);
      await upload(page, { name: 'corrected.csv', text: failed.replace('MISSPELT', sku) });
      await page.waitForURL(/\/console\/batches\/batch-/);
      const nextId = page.url().split('/').at(-1)!;
      await batchApi.waitForStatus(nextId, 'completed');
      expect(await stockOf(sku)).toBe(stockBefore! + 5 + 7);
    });

    test('uploads a dropped file with one JSON object per line', async () => {
      const { sku } = await addProduct(shop.store);
      const { page } = await open('?upload=open');
      await page.getByRole('radio', { name: 'restock' }).check();
      const data = await page.evaluateHandle((text) => {
        const scope = globalThis as unknown as { DataTransfer: new () => { items: { add: (file: File) => void } } };
        const transfer = new scope.DataTransfer();
        transfer.items.add(new File([text], 'items.ndjson'));
        return transfer;
      }, `{"sku":"${sku}","quantity":3}\n`);
      await page.dispatchEvent('.drop', 'drop', { dataTransfer: data });
      await page.getByRole('button', { name: 'Upload and start' }).click();
      await page.waitForURL(/\/console\/batches\/batch-/);
      await page.getByText('completed', { exact: true }).waitFor({ timeout: 20_000 });
    });

    test('rejects a file whose name has no known ending, and an upload with a taken id', async () => {
      const { sku } = await addProduct(shop.store);
      const { page } = await open('?upload=open');
      await upload(page, { name: 'items.xlsx', text: 'PK' });
      await page.getByRole('alert').getByText('File: the name must end with one of .csv').waitFor();

      const taken = await runBatchWithFailures(0);
      await upload(page, { name: 'items.csv', text: `sku,quantity\n${sku},3\n` }, taken);
      await page.getByRole('alert').getByText('already exists with different content').waitFor();
      expect(await page.getByRole('textbox', { name: 'Batch id' }).inputValue()).toBe(taken);
    });

    test('pauses, resumes and cancels a batch after a confirmation, and shows the progress live', async () => {
      const batchId = await startBlockedBatch();
      const { page, browserErrors } = await open(`/${batchId}`);
      const press = async (title: string) => {
        await page.locator('summary', { hasText: new RegExp(`^${title}$`) }).click();
        await page.getByRole('button', { name: `${title} the batch` }).click();
      };
      await page.getByText('0 of 4 items done').waitFor();
      await page.locator('summary', { hasText: 'Pause' }).focus();
      await page.keyboard.press('Enter');
      expect(await page.getByText('No further chunk starts until you resume the batch.').isVisible()).toBe(true);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByText('paused', { exact: true }).waitFor({ timeout: 20_000 });

      await press('Resume');
      await page.getByText('running', { exact: true }).waitFor({ timeout: 20_000 });
      await press('Cancel');
      await page.getByText('cancelled', { exact: true }).waitFor({ timeout: 20_000 });
      expect((await get(batchId)).body.status).toBe('cancelled');

      tests.unblockCalls();
      await press('Retry');
      await page.getByText('4 of 4 items done').waitFor({ timeout: 20_000 });
      await page.getByText('completed', { exact: true }).waitFor({ timeout: 20_000 });
      expect(await page.locator('summary').count()).toBe(0);
      expect(browserErrors).toEqual([]);
    });

    test('a retry that is sent twice starts one attempt', async () => {
      const batchId = await runBatchWithFailures(1);
      const { page } = await open(`/${batchId}`, { javaScriptEnabled: false });
      const of = await page.locator('input[name=of]').getAttribute('value');
      const send = async () => {
        const response = await fetch(`${api.url}/console/batches/${batchId}/retry`, {
          method: 'POST',
          redirect: 'manual',
          body: new URLSearchParams({ of: of! }),
          headers: { ...operator.authHeader, ...FROM_OWN_PAGE },
        });
        return response.status;
      };
      expect(await send()).toBe(303);
      await batchApi.waitForBatch(batchId, ({ attempt }) => attempt === 2, 'the second attempt');
      await batchApi.waitForStatus(batchId, 'completed_with_failures');
      expect(await send()).toBe(303);
      expect((await get(batchId)).body.attempt).toBe(2);
    });

    test('a command for a closed batch changes nothing and shows why', async () => {
      const batchId = await startBlockedBatch();
      const { page } = await open(`/${batchId}`, { javaScriptEnabled: false });
      tests.unblockCalls();
      await batchApi.waitForStatus(batchId, 'completed');
      await page.locator('summary', { hasText: 'Pause' }).click();
      await page.getByRole('button', { name: 'Pause the batch' }).click();
      await page.getByRole('alert').getByText(`batch ${batchId} is completed`).waitFor();
    });

    test('the list updates live, and keeps the open upload form and the answer to an upload', async () => {
      await runBatchWithFailures(1);
      const [typing, answered] = [await open(''), await open('?upload=open')];
      await typing.page.locator('summary', { hasText: 'Upload a file' }).click();
      const batchId = typing.page.getByRole('textbox', { name: 'Batch id' });
      await batchId.fill('my-batch');
      await upload(answered.page, { name: 'stock.pdf', text: 'no items' });
      const alert = answered.page.getByRole('alert');
      await alert.waitFor();

      const added = await runBatchWithFailures(1);
      await typing.page
        .getByRole('row')
        .filter({ hasText: added })
        .filter({ hasText: 'completed with failures' })
        .waitFor({ timeout: 20_000 });
      expect(await batchId.isVisible()).toBe(true);
      expect(await batchId.inputValue()).toBe('my-batch');
      expect(await alert.isVisible()).toBe(true);
      expect(await answered.page.getByRole('row').filter({ hasText: added }).count()).toBe(0);
      expect(typing.browserErrors).toEqual([]);
    });

    test('lists batches by status, and pages through all failed items', async () => {
      const batchId = await runBatchWithFailures(25);
      const { page } = await open('');
      await page.getByRole('combobox', { name: 'Status' }).selectOption('completed_with_failures');
      await page.getByRole('button', { name: 'Filter' }).click();
      await page.waitForURL(/status=completed_with_failures/);
      expect(await page.getByRole('row').filter({ hasText: batchId }).innerText()).toMatch(/restock.*26\s+1\s+25/s);
      await page.getByRole('link', { name: batchId }).click();
      await page.getByRole('link', { name: 'All 25 failed items' }).waitFor();
      expect(await page.getByRole('row').count()).toBe(1 + 20);

      await page.goto(`${api.url}/console/batches/${batchId}/failures?limit=15`);
      expect(await page.getByRole('row').count()).toBe(1 + 15);
      await page.getByRole('link', { name: 'Next page' }).click();
      await page.waitForURL(/cursor=/);
      expect(await page.getByRole('row').count()).toBe(1 + 10);
    });

    test('only operators open batches and upload', async () => {
      const batchId = await runBatchWithFailures(1);
      const statusFor = async ({ authHeader }: TestCaller, path: string, method = 'GET') => {
        const { status, body } = await fetch(`${api.url}/console/batches${path}`, {
          method,
          headers: { ...authHeader, ...FROM_OWN_PAGE },
        });
        await body?.cancel();
        return status;
      };
      for (const path of ['', `/${batchId}`, `/${batchId}/live`, `/${batchId}/failures`, `/${batchId}/failures.csv`])
        expect(await statusFor(approver, path)).toBe(403);
      for (const path of ['/upload', `/${batchId}/retry`, `/${batchId}/cancel`])
        expect(await statusFor(approver, path, 'POST')).toBe(403);
      expect(await statusFor(operator, '/unknown')).toBe(404);
      const unknown = await open('/unknown');
      expect(await unknown.page.getByRole('main').innerText()).toMatch(/There is no batch unknown.*Possible reasons:/s);
      const foreign = await fetch(`${api.url}/console/batches/upload?operation=restock`, {
        method: 'POST',
        headers: { ...operator.authHeader, origin: 'https://example.com' },
      });
      expect(foreign.status).toBe(403);
    });

    test.each(DEVICES)('is accessible and fits the screen on $device', async ({ options }) => {
      const batchId = await runBatchWithFailures(2);
      await expectGoodPage(await open(`/${batchId}`, options));
      await expectGoodPage(await open(`/${batchId}/failures`, options));
      const opened = await open('?upload=open', options);
      for (const summary of await opened.page.locator('.choice summary').all()) await summary.click();
      await expectGoodPage(opened);
      await upload(opened.page, { name: 'bad.csv', text: 'sku,quantity\nx,0\n' });
      await opened.page.getByRole('alert').waitFor();
      takeStatusError(opened, 422);
      await expectGoodPage(opened);
    });
  });
});
