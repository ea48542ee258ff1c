import type { Browser } from 'playwright-core';
import { describe, inject } from 'vitest';
import { startBrowser } from '../../../tools/servers/programs/chromium.js';

/**
 * Like `describe`, for tests that need a real browser. If no browser is found, the tests are skipped and the title
 * gives the reason.
 */
export function describeInBrowser(title: string, define: () => void): void {
  const found = inject('chromium');
  if ('missing' in found) describe.skip(`${title} (skipped: ${found.missing})`, define);
  else describe(title, define);
}

/** Starts a new headless browser. */
export async function launchBrowser(): Promise<Browser> {
  const found = inject('chromium');
  if ('missing' in found) throw new Error(found.missing);
  return await startBrowser(found.path);
}
