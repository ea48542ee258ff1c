import { setTimeout as sleep } from 'node:timers/promises';
import { isOpenBatch, type BatchResource } from '../../schemas/batch.js';

/** How often it is looked whether there is news. */
const LOOK_EVERY_MS = 1_000;

/** Proxies close connections on which nothing is said. */
const KEEP_ALIVE_MS = 15_000;

/**
 * A batch as server-sent events: `progress` at once and whenever something has changed, at most once a second, and `end`
 * with its last state. A client that comes again just gets the state of then, so events have no ids.
 *
 * @param closing ends the stream without an `end`, so that the client comes back to another process.
 */
export async function* batchEvents(look: () => Promise<BatchResource>, closing: AbortSignal): AsyncGenerator<string> {
  let last = '';
  let saidAt = Date.now();
  yield 'retry: 2000\n\n';
  while (!closing.aborted) {
    // What is away comes back; the stream outlives it.
    const batch = await look().catch(() => undefined);
    const data = batch ? JSON.stringify(batch) : last;
    if (batch && !isOpenBatch(batch.status)) {
      yield eventOf('end', data);
      return;
    }
    if (data !== last) {
      last = data;
      saidAt = Date.now();
      yield eventOf('progress', data);
    } else if (Date.now() - saidAt >= KEEP_ALIVE_MS) {
      saidAt = Date.now();
      yield ': nothing new\n\n';
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: closing }).catch(() => undefined);
  }
}

/** JSON has no line breaks, so the data is one line. */
const eventOf = (event: string, data: string) => `event: ${event}\ndata: ${data}\n\n`;
