import { access, constants } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { findOnPath } from '../../processes/commands.js';

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

/** Starts a new headless browser. `path` is the path of Chromium. */
export async function startBrowser(path: string): Promise<Browser> {
  // Imported here and not at the top, because `findChromium` runs before every test run and this import is slow.
  const { chromium } = await import('playwright-core');
  // Chromium's sandbox does not work for root or in most containers. The browser opens only pages of this project.
  return await chromium.launch({ executablePath: path, args: ['--no-sandbox'] });
}
