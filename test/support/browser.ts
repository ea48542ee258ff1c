import { access, constants } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { describe, inject } from 'vitest';
import { onPath } from '../../dev/commands.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of a Chromium: CHROMIUM_PATH, or one on PATH. @throws with the cure when there is none. */
export async function findChromium(): Promise<{ path: string }> {
  const cure = 'apt-get install chromium, or set CHROMIUM_PATH';
  const told = process.env.CHROMIUM_PATH;
  if (told) {
    await access(told, constants.X_OK).catch(() => {
      throw new Error(`CHROMIUM_PATH=${told} is no program: ${cure}`);
    });
    return { path: told };
  }
  const path = NAMES.map((name) => onPath(name)).find((found) => found !== undefined);
  if (path === undefined) throw new Error(`there is no ${NAMES.join(' or ')} on PATH: ${cure}`);
  return { path };
}

/** Like `describe`, for tests in a real browser; without one they are skipped and the title says why. */
export function describeInBrowser(title: string, define: () => void): void {
  const found = inject('chromium');
  if ('missing' in found) describe.skip(`${title} (skipped, there is no browser: ${found.missing})`, define);
  else describe(title, define);
}

/** A browser of the caller's own, without a window. */
export async function launchBrowser(): Promise<Browser> {
  const found = inject('chromium');
  if ('missing' in found) throw new Error(found.missing);
  // Loaded here, because the search above runs before every test run, and loading takes as long as some of them.
  const { chromium } = await import('playwright-core');
  // Chromium's sandbox does not work for root, nor in most containers; only our own pages are opened.
  return await chromium.launch({ executablePath: found.path, args: ['--no-sandbox'] });
}
