import { setTimeout as sleep } from 'node:timers/promises';
import { isOpenBatch, type BatchResource } from '../../schemas/batch.js';

/** How often to poll for changes. */
const POLL_INTERVAL_MS = 1_000;

/** After this time without an event, the stream sends a comment, because proxies close idle connections. */
const KEEP_ALIVE_INTERVAL_MS = 15_000;

/**
 * Yields a batch as server-sent events. Sends a `progress` event at once, and then after each change, at most once a
 * second. The `end` event contains the final state. Events have no ids, because a client that reconnects gets the
 * current state.
 *
 * @param closing ends the stream without an `end` event, so that the client reconnects to another process.
 */
export async function* streamBatchEvents(
  readBatch: () => Promise<BatchResource>,
  closing: AbortSignal,
): AsyncGenerator<string> {
  let lastData = '';
  let lastSentAt = Date.now();
  yield 'retry: 2000\n\n';
  while (!closing.aborted) {
    // A failed poll is ignored; the next poll catches up.
    const batch = await readBatch().catch(() => undefined);
    const data = batch ? JSON.stringify(batch) : lastData;
    if (batch && !isOpenBatch(batch.status)) {
      yield formatEvent('end', data);
      return;
    }
    if (data !== lastData) {
      lastData = data;
      lastSentAt = Date.now();
      yield formatEvent('progress', data);
    } else if (Date.now() - lastSentAt >= KEEP_ALIVE_INTERVAL_MS) {
      lastSentAt = Date.now();
      yield ': keep-alive\n\n';
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal: closing }).catch(() => undefined);
  }
}

/** `JSON.stringify` writes no line breaks, so the data is one line. */
const formatEvent = (event: string, data: string) => `event: ${event}\ndata: ${data}\n\n`;
