import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { findChromium, startBrowser } from '../servers/programs/chromium.js';
import { projectRoot } from '../settings/environment.js';
import type { StackAddresses } from '../stack/stack.js';
import { waitUntil } from '../processes/wait.js';
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
const SCENE_TIMEOUT_MS = 240_000;
const SCENE_OUTCOME = 'Nothing was lost or doubled.';
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
const stack = await startTemporaryStack({}, { webUi: true, report });
const browser = await startBrowser(path);
try {
  for (const screenshot of await prepareScreenshots(stack.addresses)) await take(browser, screenshot);
} finally {
  await browser.close();
  await stack.stop();
}

/** Runs the scene of the page that breaks the stack. Then parcels wait for their pickup, so that orders stay open. */
async function playScene({ breakItUrl, paymentsUrl }: StackAddresses): Promise<void> {
  const { origin } = new URL(paymentsUrl);
  const body = new URLSearchParams({ orders: '50', kill: 'worker' });
  await fetch(`${breakItUrl}/scene`, { method: 'POST', body, headers: { origin } });
  const isDone = async () => (await (await fetch(breakItUrl!)).text()).includes(SCENE_OUTCOME) || undefined;
  await waitUntil(isDone, { description: 'the end of the scene', timeoutMs: SCENE_TIMEOUT_MS, intervalMs: 1_000 });
  await fetch(`${origin}/test/carrier`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ pickupSeconds: 3_600, deliverySeconds: 7_200 }),
  });
}

/** Places the orders that the pictures show. Returns the pictures to take. */
async function prepareScreenshots(addresses: StackAddresses): Promise<Screenshot[]> {
  const { apiUrl, webUiUrl, temporalNamespace, mailboxUrl, breakItUrl } = addresses;
  await playScene(addresses);
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
    { name: 'console-home', url: `${apiUrl}/console`, expectedText: 'Open workflows' },
    { name: 'console-order', url: `${apiUrl}/console/orders/${orderId}`, expectedText: orderId, height: 1_000 },
    { name: 'console-break-it', url: breakItUrl!, expectedText: SCENE_OUTCOME, height: 1_000 },
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
