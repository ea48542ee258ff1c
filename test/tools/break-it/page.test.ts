import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { breakItPages } from '../../../tools/break-it/routes.js';
import { buildFakes } from '../../../tools/fakes/app.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';

const UPDATED = { timeout: 20_000 };

describeInBrowser('the page that breaks the stack, in a browser', () => {
  let fakes: ReturnType<typeof buildFakes>;
  let stackDir: string;
  let url: string;

  beforeAll(async () => {
    stackDir = await mkdtemp(join(tmpdir(), 'break-it-page-'));
    fakes = buildFakes({ autoDeliver: false });
    await fakes.app.register(breakItPages, { prefix: '/break-it', fakes, stackDir });
    url = `${await fakes.app.listen({ host: '127.0.0.1', port: 0 })}/break-it`;
  });
  afterAll(async () => {
    await fakes?.close();
    await rm(stackDir, { recursive: true, force: true });
  });

  const browser = useBrowser();

  const chosenIn = (page: Page) =>
    page
      .getByRole('radio')
      .evaluateAll((radios) =>
        (radios as unknown as { value: string; checked: boolean }[])
          .filter(({ checked }) => checked)
          .map(({ value }) => value),
      );

  /** Submits a form as the page does, but not from the page. */
  const submit = (path: string, form: Record<string, string> = {}) =>
    fetch(`${url}/${path}`, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { origin: new URL(url).origin },
    });

  beforeEach(async () => {
    await submit('gateway-answers', { answers: 'normal' });
    await submit('switches/carrier-is-silent/off');
  });

  /** Turns a switch of the carrier on or off, and waits until the update has reached the page. */
  async function updatePage(page: Page, direction: 'on' | 'off'): Promise<void> {
    await submit(`switches/carrier-is-silent/${direction}`);
    const name = `Carrier, Is silent: ${direction === 'on' ? 'back to normal' : 'turn on'}`;
    await page.getByRole('button', { name }).waitFor(UPDATED);
  }

  test('the radio of the active answer stays selected after Apply and after updates of the page', async () => {
    const { page, browserErrors } = await browser.open(url);
    await updatePage(page, 'on');
    for (const answers of ['gateway-is-slow', 'gateway-answers-500', 'normal']) {
      await page.locator(`input[value="${answers}"]`).focus();
      await page.keyboard.press('Space');
      await page.keyboard.press('Tab');
      const reloaded = page.waitForEvent('load');
      await page.keyboard.press('Enter');
      await reloaded;
      expect(await chosenIn(page)).toEqual([answers]);
      await updatePage(page, 'off');
      await updatePage(page, 'on');
      expect(await chosenIn(page)).toEqual([answers]);
    }
    expect(browserErrors).toEqual([]);
  });

  test('a chosen radio survives an update that selects another radio', async () => {
    const { page } = await browser.open(url);
    const { page: other } = await browser.open(url);
    await page.getByRole('radio', { name: 'Answers 500' }).check();
    await page.getByRole('link', { name: 'Skip to content' }).focus();

    await other.getByRole('radio', { name: 'Is slow' }).check();
    await other.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('is slow', { exact: true }).waitFor(UPDATED);

    expect(await chosenIn(page)).toEqual(['gateway-answers-500']);
    expect(await chosenIn(other)).toEqual(['gateway-is-slow']);
  });
});
