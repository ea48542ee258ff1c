import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, inject } from 'vitest';
import { startBrowser } from '../../../tools/servers/programs/chromium.js';
import type { TestCaller } from './callers.js';

/**
 * Like `describe`, for tests that need a real browser. If no browser is found, the tests are skipped and the title
 * gives the reason.
 */
export function describeInBrowser(title: string, define: () => void): void {
  const found = inject('chromium');
  if ('missing' in found) describe.skip(`${title} (skipped: ${found.missing})`, define);
  else describe(title, define);
}

/** A page in its own browser context, and the errors and warnings that the browser logged. */
export interface OpenedPage {
  page: Page;
  browserErrors: string[];
}

interface PageOpener {
  open: (url: string, options?: BrowserContextOptions) => Promise<OpenedPage>;
  /** Opens a page that sends the caller's API key with each request. */
  openAs: (caller: Pick<TestCaller, 'authHeader'>, url: string, options?: BrowserContextOptions) => Promise<OpenedPage>;
}

interface TestBrowser extends PageOpener {
  /** Opens an empty page in a new context. */
  newPage: (options?: BrowserContextOptions) => Promise<Page>;
  /** Opens pages whose URLs start with this base, which is read when a page opens. */
  below: (baseUrl: () => string) => PageOpener;
}

/**
 * Starts one headless browser for the tests of a `describe`, and closes their pages after each test. Call this function
 * after the `beforeAll` that starts the API, so that the pages close before the API does.
 */
export function useBrowser(): TestBrowser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    const found = inject('chromium');
    if ('missing' in found) throw new Error(found.missing);
    browser = await startBrowser(found.path);
  });
  afterEach(async () => {
    for (const context of browser?.contexts() ?? []) await context.close();
  });
  afterAll(async () => browser?.close());

  const newPage: TestBrowser['newPage'] = (options) => browser!.newPage(options);

  async function open(url: string, options?: BrowserContextOptions): Promise<OpenedPage> {
    const page = await newPage(options);
    const browserErrors: string[] = [];
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      browserErrors.push(message.text());
    });
    page.on('pageerror', (error) => browserErrors.push(String(error)));
    await page.goto(url);
    return { page, browserErrors };
  }

  const below: TestBrowser['below'] = (baseUrl) => ({
    open: (url, options) => open(baseUrl() + url, options),
    openAs: ({ authHeader }, url, options) => open(baseUrl() + url, { ...options, extraHTTPHeaders: authHeader }),
  });

  return { newPage, below, ...below(() => '') };
}
