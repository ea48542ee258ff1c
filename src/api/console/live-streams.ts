import type { FastifyReply, FastifyRequest } from 'fastify';
import { timeoutSignal } from '../../async/timeout-signal.js';
import { sendEventStream } from '../http/live/event-stream.js';
import { createSharedReads } from '../http/live/shared-reads.js';
import { STREAM_TIMEOUT_MS } from '../limits.js';
import { HttpProblem } from '../problems/http-problem.js';

/** Shorter than the interval in which streams poll, so that each poll reads again. */
const SHARED_READ_MS = 900;

/** Maximum number of open streams of one caller in this process. Browsers open one stream per visible tab. */
const MAX_STREAMS_PER_CALLER = 20;

interface LiveContent<T> {
  /** All streams with this key share one read per second. Must not depend on the caller. */
  key: string;
  read: () => Promise<T>;
  /** What the route has just read. It is the first update, because a shared read can be older than the request. */
  first?: T | undefined;
  /** Returns the HTML of the page for this caller. */
  render: (value: T) => string;
  /** Whether the content never changes again, so that the stream ends. */
  isFinal?: (value: T) => boolean;
}

export interface LiveStreams {
  /**
   * Sends the content of a page as server-sent events: an `update` with the HTML as a JSON string at once, and after
   * each change. The last event of a final content is `end`. The stream ends with the session of the caller.
   *
   * @throws 429 when the caller has too many streams.
   */
  send: <T>(request: FastifyRequest, reply: FastifyReply, content: LiveContent<T>) => FastifyReply;
  /** Ends the streams of a caller who signs out. Their pages connect again if they belong to another session. */
  endStreamsOf: (callerId: string) => void;
}

/** @param closing ends all streams. Browsers then connect again, to another process. */
export function createLiveStreams(closing: AbortSignal): LiveStreams {
  const sharedRead = createSharedReads(SHARED_READ_MS);
  const openStreams = new Map<string, Set<AbortController>>();

  /** Registers a stream until the connection closes. The signal of the result ends the stream. */
  function openStream(callerId: string, reply: FastifyReply): AbortSignal {
    const streams = openStreams.get(callerId) ?? new Set();
    if (streams.size >= MAX_STREAMS_PER_CALLER) {
      const detail = `${callerId} has ${MAX_STREAMS_PER_CALLER} open streams, which is the maximum`;
      throw new HttpProblem('too-many-requests', { detail, headers: { 'retry-after': '10' } });
    }
    const stream = new AbortController();
    openStreams.set(callerId, streams.add(stream));
    reply.raw.once('close', () => {
      streams.delete(stream);
      if (streams.size === 0 && openStreams.get(callerId) === streams) openStreams.delete(callerId);
    });
    return stream.signal;
  }

  return {
    send({ caller }, reply, { key, read, first, render, isFinal }) {
      const signals = [closing, openStream(caller.id, reply)];
      const ended =
        caller.expiresAt === undefined
          ? AbortSignal.any(signals)
          : timeoutSignal(Math.min(Math.max(caller.expiresAt * 1_000 - Date.now(), 0), STREAM_TIMEOUT_MS), ...signals);
      let firstValue = first;
      const readEvent = async () => {
        const value = firstValue ?? (await sharedRead(key, read));
        firstValue = undefined;
        const isLast = isFinal?.(value) ?? false;
        return { event: isLast ? 'end' : 'update', data: JSON.stringify(render(value)), isLast };
      };
      return sendEventStream(reply, readEvent, ended);
    },
    endStreamsOf(callerId) {
      for (const stream of openStreams.get(callerId) ?? []) stream.abort();
    },
  };
}
