import { access, constants } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { describe, inject } from 'vitest';
import { findOnPath } from '../processes.js';

const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/**
 * Returns the path of Chromium: CHROMIUM_PATH, or a browser on PATH. @throws with installation instructions when no
 * Chromium is found.
 */
export async function findChromium(): Promise<{ path: string }> {
  const cure = 'apt-get install chromium, or set CHROMIUM_PATH';
  const configuredPath = process.env.CHROMIUM_PATH;
  if (configuredPath) {
    await access(configuredPath, constants.X_OK).catch(() => {
      throw new Error(`CHROMIUM_PATH=${configuredPath} is not an executable file: ${cure}`);
    });
    return { path: configuredPath };
  }
  const path = CHROMIUM_NAMES.map((name) => findOnPath(name)).find((found) => found !== undefined);
  if (path === undefined) throw new Error(`found no ${CHROMIUM_NAMES.join(' or ')} on PATH: ${cure}`);
  return { path };
}

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
  // Imported here and not at the top, because `findChromium` runs before every test run and this import is slow.
  const { chromium } = await import('playwright-core');
  // Chromium's sandbox does not work for root or in most containers. The tests open only pages of this project.
  return await chromium.launch({ executablePath: found.path, args: ['--no-sandbox'] });
}
