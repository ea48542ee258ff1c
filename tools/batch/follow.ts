import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { batchFailure, batchResource, type BatchFailure, type BatchResource } from '../../src/schemas/batch.js';
import { pageOf } from '../../src/schemas/page.js';
import { credentials } from '../stack/credentials.js';
import { waitUntil } from '../processes/wait.js';
import { hasEnded, type Display } from './progress.js';
import { whyNot } from './upload.js';

const answerMs = 10_000;
/** What the API, or a proxy in front of it, returns while the API restarts. */
const away = [502, 503, 504];

/** Poll interval and time limit; tests use shorter ones. */
export interface Patience {
  everyMs: number;
  /** How long the API may be unavailable. */
  deadlineMs: number;
}

const byDefault: Patience = { everyMs: 300, deadlineMs: 60_000 };

/**
 * Shows a batch until it has ended. Waits while the API is unavailable, for example during a restart.
 *
 * @throws an Error when the API stays unavailable or returns another error.
 */
export async function followBatch(url: string, display: Display, patience = byDefault): Promise<BatchResource> {
  for (;;) {
    const batch = await readPatiently(url, batchResource, display, patience);
    display.show(batch);
    if (hasEnded(batch)) return batch;
    await delay(patience.everyMs);
  }
}

/** The first items that failed. */
export async function firstFailures(url: string, limit: number, display: Display): Promise<BatchFailure[]> {
  const page = await readPatiently(`${url}/failures?limit=${limit}`, pageOf(batchFailure), display, byDefault);
  return page.items;
}

async function readPatiently<T extends z.ZodType>(url: string, schema: T, display: Display, patience: Patience) {
  let noted = false;
  const ask = async (): Promise<{ status: number; body: string }> => {
    try {
      const answer = await fetch(url, { headers: credentials(), signal: AbortSignal.timeout(answerMs) });
      const body = await answer.text();
      if (away.includes(answer.status)) throw new Error(`it answers ${answer.status}`);
      return { status: answer.status, body };
    } catch (error) {
      const reason = whyNot(error);
      if (!noted) display.note(`The API is away (${reason}), waiting for it up to ${patience.deadlineMs / 1000} s`);
      noted = true;
      throw new Error(reason);
    }
  };
  const { status, body } = await waitUntil(ask, { what: `An answer of ${url}`, ...patience });
  if (status !== 200) throw new Error(`${url} answered ${status}: ${body.slice(0, 200)}`);
  if (noted) display.note('The API is back');
  return schema.parse(JSON.parse(body));
}
