import axe from 'axe-core';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { OpenedPage } from './browser.js';

/** The devices on which every page of the console is tested. `expectGoodPage` checks both colour schemes on each. */
export const DEVICES: { device: string; options: BrowserContextOptions }[] = [
  { device: 'a desktop', options: { viewport: { width: 1_280, height: 800 } } },
  { device: 'a phone', options: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } },
];

const MAX_TAB_STOPS = 60;

/** Presses Tab until the element has the focus. @throws if the keyboard does not reach the element. */
export async function tabTo(target: Locator): Promise<void> {
  for (let stop = 0; stop < MAX_TAB_STOPS; stop += 1) {
    await target.page().keyboard.press('Tab');
    if (await target.evaluate((element) => element === element.ownerDocument.activeElement)) return;
  }
  throw new Error(`${MAX_TAB_STOPS} presses of Tab did not reach ${String(target)}`);
}

/** The message that browsers log when a page has this status. */
const statusMessage = (status: number): string => `the server responded with a status of ${status} `;

/** Removes one message about a page with this status. @throws if the browser logged no such message. */
export function takeStatusError({ browserErrors }: OpenedPage, status: number): void {
  const index = browserErrors.findIndex((text) => text.includes(statusMessage(status)));
  expect(index, `${statusMessage(status)}in ${JSON.stringify(browserErrors)}`).toBeGreaterThanOrEqual(0);
  browserErrors.splice(index, 1);
}

/**
 * Expects that the page has no accessibility violation in light and dark colours (WCAG 2.2 AA, checked by axe), is not
 * wider than the screen, and that the browser logged no error or warning.
 */
export async function expectGoodPage({ page, browserErrors }: OpenedPage): Promise<void> {
  await page.evaluate(axe.source);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    expect(await findViolations(page), `${page.url()} in ${colorScheme} colours`).toEqual([]);
  }
  const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  expect(overflow, `${page.url()} is wider than the screen`).toBe(0);
  expect(browserErrors, page.url()).toEqual([]);
}

const findViolations = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<AxeResults> } };
    const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await axe.run({ runOnly });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });

interface AxeResults {
  violations: { id: string; nodes: { html: string }[] }[];
}
