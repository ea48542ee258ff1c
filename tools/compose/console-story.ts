import type { Locator, Page } from 'playwright-core';
import { waitUntil } from '../processes/wait.js';
import { findChromium, startBrowser } from '../servers/programs/chromium.js';
import type { ComposeProject } from './compose-project.js';

/** A product whose price needs the approval of the first stage. */
const SKU = 'MACHINE-LEVER';
/** A page shows a change about a second later, or after the restart of a killed worker. */
const timeoutMs = 3 * 60_000;

/**
 * Uses the console as a person does: places a large order by form, kills all workers, approves the order in the inbox,
 * and waits until the page of the order shows that the order is completed. Returns the id of the order.
 *
 * @throws when a page does not show what it must, or when the browser reports an error.
 */
export async function runConsoleStory(project: ComposeProject, killWorkers: () => Promise<void>): Promise<string> {
  const { path } = await findChromium();
  const browser = await startBrowser(path);
  try {
    const context = await browser.newContext();
    context.setDefaultTimeout(timeoutMs);
    const errors: string[] = [];
    context.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    const page = await context.newPage();
    await signIn(page, project);
    const orderId = await placeOrder(page);
    await page.getByText('Waits for the approval.').waitFor();
    await killWorkers();

    const inbox = await context.newPage();
    await inbox.goto(`${project.apiUrl}/console/approvals`);
    await inbox.getByRole('row').filter({ hasText: orderId }).getByRole('link').click();
    await reloadUntilVisible(inbox, inbox.getByRole('button', { name: 'Approve' }));
    await inbox.getByRole('button', { name: 'Approve' }).click();
    await inbox.getByText('Approved by shift-lead').waitFor();
    await page.getByText('The order is completed.').waitFor();
    // While no worker runs, the event stream of a page may fail.
    const unexpected = errors.filter((error) => !/\b503\b/.test(error));
    if (unexpected.length > 0) throw new Error(`the browser reported: ${unexpected.join('\n')}`);
    return orderId;
  } finally {
    await browser.close();
  }
}

/** Temporal notices a killed worker after some seconds. Until then, the page of an approval is unavailable. */
const reloadUntilVisible = (page: Page, element: Locator): Promise<boolean> =>
  waitUntil(
    async () => {
      if (await element.isVisible()) return true;
      const text = await page.getByRole('main').innerText();
      await page.reload();
      throw new Error(text);
    },
    { description: `a button on ${page.url()}`, timeoutMs, intervalMs: 1_000 },
  );

async function signIn(page: Page, project: ComposeProject): Promise<void> {
  await page.goto(`${project.apiUrl}/console/start/order`);
  await page.getByLabel('API key or token').fill(await project.readSecret('API_KEY'));
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function placeOrder(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'Remove line 2' }).click();
  await page.getByLabel('SKU').fill(SKU);
  await page.getByLabel('Quantity').fill('1');
  const orderId = await page.getByLabel('Order id').inputValue();
  await page.getByRole('button', { name: 'Place the order' }).last().click();
  await page.waitForURL(`**/console/orders/${orderId}`);
  return orderId;
}
