import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { STREAM_TIMEOUT_MS } from '../../limits.js';

/** How often to poll for changes. */
const POLL_INTERVAL_MS = 1_000;

/** After this time without an event, the stream sends a comment, because proxies close idle connections. */
const KEEP_ALIVE_INTERVAL_MS = 15_000;

/** A server-sent event. `data` has no line breaks. */
export interface ServerSentEvent {
  event: string;
  data: string;
  /** The stream ends after this event. */
  isLast?: boolean;
}

/**
 * Sends a state as server-sent events: at once, and then after each change, at most once a second. A failed read is
 * ignored; the next read catches up. Events have no ids, because a client that reconnects gets the current state.
 *
 * @param ended ends the stream, for example at shutdown. The client then connects again.
 * @throws an Error when the route has a shorter `handlerTimeout`, because Fastify would cut the stream.
 */
export function sendEventStream(
  reply: FastifyReply,
  readEvent: () => Promise<ServerSentEvent>,
  ended: AbortSignal,
): FastifyReply {
  const { url, handlerTimeout } = reply.request.routeOptions;
  // 0 means that the server has no time limit.
  if (handlerTimeout > 0 && handlerTimeout < STREAM_TIMEOUT_MS)
    throw new Error(`the event stream ${url} needs handlerTimeout: STREAM_TIMEOUT_MS`);
  // Closes the connection with the stream. Many streams end at shutdown, and a kept-alive connection would delay the
  // shutdown. `x-accel-buffering` turns off the buffer of nginx.
  return reply
    .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    .header('connection', 'close')
    .send(Readable.from(changes(readEvent, abortOnClose(reply, ended))));
}

async function* changes(readEvent: () => Promise<ServerSentEvent>, ended: AbortSignal): AsyncGenerator<string> {
  let lastData: string | undefined;
  let lastSentAt = Date.now();
  yield 'retry: 2000\n\n';
  while (!ended.aborted) {
    const event = await readEvent().catch(() => undefined);
    if (event && (event.isLast || event.data !== lastData)) {
      lastData = event.data;
      lastSentAt = Date.now();
      yield `event: ${event.event}\ndata: ${event.data}\n\n`;
      if (event.isLast) return;
    } else if (Date.now() - lastSentAt >= KEEP_ALIVE_INTERVAL_MS) {
      lastSentAt = Date.now();
      yield ': keep-alive\n\n';
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal: ended }).catch(() => undefined);
  }
}

/**
 * Returns a signal that aborts when `ended` aborts or when the client disconnects. A stream that sends no events would
 * not notice the disconnect.
 */
function abortOnClose({ raw }: FastifyReply, ended: AbortSignal): AbortSignal {
  const closed = new AbortController();
  const close = () => closed.abort();
  ended.addEventListener('abort', close);
  raw.once('close', () => {
    ended.removeEventListener('abort', close);
    close();
  });
  if (ended.aborted || raw.closed) close();
  return closed.signal;
}
