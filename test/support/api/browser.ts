import { access, constants } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { describe, inject } from 'vitest';
import { findOnPath } from '../processes.js';

const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of a Chromium: CHROMIUM_PATH, or one on PATH. @throws with installation instructions when there is none. */
export async function findChromium(): Promise<{ path: string }> {
  const cure = 'apt-get install chromium, or set CHROMIUM_PATH';
  const configuredPath = process.env.CHROMIUM_PATH;
  if (configuredPath) {
    await access(configuredPath, constants.X_OK).catch(() => {
      throw new Error(`CHROMIUM_PATH=${configuredPath} is no program: ${cure}`);
    });
    return { path: configuredPath };
  }
  const path = CHROMIUM_NAMES.map((name) => findOnPath(name)).find((found) => found !== undefined);
  if (path === undefined) throw new Error(`there is no ${CHROMIUM_NAMES.join(' or ')} on PATH: ${cure}`);
  return { path };
}

/** Like `describe`, for tests in a real browser. Without one, the tests are skipped and the title says why. */
export function describeInBrowser(title: string, define: () => void): void {
  const found = inject('chromium');
  if ('missing' in found) describe.skip(`${title} (skipped, there is no browser: ${found.missing})`, define);
  else describe(title, define);
}

/** Starts a new headless browser. */
export async function launchBrowser(): Promise<Browser> {
  const found = inject('chromium');
  if ('missing' in found) throw new Error(found.missing);
  // Loaded only here: the search above runs before every test run, and loading takes as long as some of those runs.
  const { chromium } = await import('playwright-core');
  // Chromium's sandbox does not work for root, nor in most containers. Tests open only this project's pages.
  return await chromium.launch({ executablePath: found.path, args: ['--no-sandbox'] });
}
