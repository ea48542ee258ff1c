import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import { readOpenApiDocument, documentedOperations } from '../../support/api/openapi-document.js';

describeInBrowser('the reference at /docs', () => {
  let api: Api;

  beforeAll(async () => {
    api = await startApiWithoutBackends();
  });
  afterAll(async () => {
    await api?.close();
  });

  const browser = useBrowser();

  test('the API reference shows every operation, executes a request, and loads nothing from other hosts', async () => {
    const operations = documentedOperations(await readOpenApiDocument());
    const [complaints, asked]: [string[], Set<string>] = [[], new Set()];
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    page.on('console', (message) => void complaints.push(message.text()));
    page.on('pageerror', (error) => void complaints.push(error.message));
    page.on('request', (request) => void asked.add(new URL(request.url()).protocol + new URL(request.url()).host));

    const response = await page.goto(`${api.url}/docs`);

    expect(response?.headers()['content-security-policy']).not.toContain('unsafe');
    expect(await page.title()).toBe('Workflow orchestration patterns: the API');
    await page.locator('.opblock').first().waitFor();
    expect(await page.locator('.opblock').count()).toBe(operations.length);

    const products = page.locator('#operations-Products-listProducts');
    await products.locator('.opblock-summary-control').click();
    await products.getByText('x-roles').waitFor();

    const liveness = page.locator('#operations-Operations-getLiveness');
    await liveness.locator('.opblock-summary-control').click();
    await liveness.getByRole('button', { name: 'Try it out' }).click();
    await liveness.getByRole('button', { name: 'Execute' }).click();
    await liveness.locator('.live-responses-table .response .response-col_status').getByText('200').waitFor();

    const { protocol, host } = new URL(api.url);
    expect([...asked].filter((place) => place !== 'data:')).toEqual([protocol + host]);
    expect(complaints).toEqual([]);
  }, 120_000);
});
