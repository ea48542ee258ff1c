import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { batchFailure, batchResource, type BatchFailure, type BatchResource } from '../../src/schemas/batch.js';
import { pageOf } from '../../src/schemas/shared/page.js';
import { apiKeyHeaders } from '../stack/running-stack.js';
import { waitUntil } from '../processes/wait.js';
import { hasEnded, type ProgressDisplay } from './progress.js';
import { describeFetchError } from './upload.js';

const requestTimeoutMs = 10_000;
/** The statuses that the API or its proxy returns while the API restarts. */
const unavailableStatuses = [502, 503, 504];

/** How to poll the batch. Tests use shorter times. */
export interface PollOptions {
  intervalMs: number;
  /** How long to retry while the API is unavailable. */
  timeoutMs: number;
}

const defaultPollOptions: PollOptions = { intervalMs: 300, timeoutMs: 60_000 };

/**
 * Polls a batch and shows its progress until it is closed. Retries while the API is unavailable, for example during a
 * restart.
 *
 * @throws an Error when the API stays unavailable or returns another error.
 */
export async function followBatch(
  url: string,
  display: ProgressDisplay,
  pollOptions = defaultPollOptions,
): Promise<BatchResource> {
  for (;;) {
    const batch = await readWithRetry(url, batchResource, display, pollOptions);
    display.update(batch);
    if (hasEnded(batch)) return batch;
    await delay(pollOptions.intervalMs);
  }
}

/** Reads the first failed items. */
export async function readFirstFailures(url: string, limit: number, display: ProgressDisplay): Promise<BatchFailure[]> {
  const page = await readWithRetry(`${url}/failures?limit=${limit}`, pageOf(batchFailure), display, defaultPollOptions);
  return page.items;
}

async function readWithRetry<T extends z.ZodType>(
  url: string,
  schema: T,
  display: ProgressDisplay,
  pollOptions: PollOptions,
) {
  let isReported = false;
  const read = async (): Promise<{ status: number; body: string }> => {
    try {
      const response = await fetch(url, { headers: apiKeyHeaders(), signal: AbortSignal.timeout(requestTimeoutMs) });
      const body = await response.text();
      if (unavailableStatuses.includes(response.status)) throw new Error(`status ${response.status}`);
      return { status: response.status, body };
    } catch (error) {
      const reason = describeFetchError(error);
      if (!isReported)
        display.printLine(`The API is unavailable (${reason}), retrying for up to ${pollOptions.timeoutMs / 1000} s`);
      isReported = true;
      throw new Error(reason);
    }
  };
  const { status, body } = await waitUntil(read, { description: `a response of ${url}`, ...pollOptions });
  if (status !== 200) throw new Error(`${url} returned ${status}: ${body.slice(0, 200)}`);
  if (isReported) display.printLine('The API is available again');
  return schema.parse(JSON.parse(body));
}
