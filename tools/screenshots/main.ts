import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { findChromium, startBrowser } from '../servers/programs/chromium.js';
import { projectRoot } from '../settings/environment.js';
import type { StackAddresses } from '../stack/stack.js';
import { startTemporaryStack } from '../stack/temporary-stack.js';
import { createReporter } from '../terminal/reporter.js';
import { orderReader, placeOrder } from '../tour/order-steps.js';
import { TourClient } from '../tour/tour-client.js';

/**
 * `npm run screenshots`: takes the pictures of the documentation in a real browser and writes them to docs/images/.
 * Starts a temporary stack for them.
 */
const IMAGES_FOLDER = join(projectRoot, 'docs', 'images');
const VIEWPORT = { width: 1_280, height: 800 };
const TIMEOUT_MS = 60_000;
/** The approver of the first stage in the development settings. */
const APPROVER = 'shift-lead';

interface Screenshot {
  /** The file name without its extension. */
  name: string;
  url: string;
  /** A text that the page shows when it is complete. */
  expectedText: string;
  height?: number;
}

const report = createReporter();
const { path } = await findChromium();
await mkdir(IMAGES_FOLDER, { recursive: true });
const stack = await startTemporaryStack({ carrierPickupSeconds: 3_600 }, { webUi: true, report });
const browser = await startBrowser(path);
try {
  for (const screenshot of await prepareScreenshots(stack.addresses)) await take(browser, screenshot);
} finally {
  await browser.close();
  await stack.stop();
}

/** Places the orders that the pictures show. Returns the pictures to take. */
async function prepareScreenshots(addresses: StackAddresses): Promise<Screenshot[]> {
  const { apiUrl, webUiUrl, temporalNamespace, mailboxUrl } = addresses;
  const client = new TourClient({ ...addresses, namespace: temporalNamespace, print: () => undefined });
  const orderId = await placeOrder(client, 'order.json');
  await client.pollUntil(orderReader(client, orderId), ({ stage }) => stage === 'awaiting_pickup', 'the parcel');
  await placeOrder(client, 'order-declined.json');
  const largeOrderId = await placeOrder(client, 'order-large.json');
  const approvalUrl = await client.findMailLink(`${APPROVER}@example.com`, '/approvals/', largeOrderId);
  return [
    {
      name: 'web-ui-order',
      url: `${webUiUrl}/namespaces/${temporalNamespace}/workflows/order:${orderId}`,
      expectedText: 'chargePayment',
      height: 1_100,
    },
    {
      name: 'web-ui-workflows',
      url: `${webUiUrl}/namespaces/${temporalNamespace}/workflows`,
      expectedText: 'approval:',
      height: 500,
    },
    { name: 'mailbox', url: mailboxUrl!, expectedText: largeOrderId, height: 260 },
    { name: 'approval-page', url: approvalUrl!, expectedText: largeOrderId, height: 860 },
    { name: 'api-reference', url: `${apiUrl}/docs`, expectedText: '/v1/orders' },
  ];
}

async function take(
  browser: Browser,
  { name, url, expectedText, height = VIEWPORT.height }: Screenshot,
): Promise<void> {
  const page = await browser.newPage({ viewport: { ...VIEWPORT, height } });
  await page.goto(url);
  await page.getByText(expectedText).first().waitFor({ timeout: TIMEOUT_MS });
  await page.screenshot({ path: join(IMAGES_FOLDER, `${name}.png`) });
  report.print(`docs/images/${name}.png`);
  await page.close();
}
