import { getEventListeners } from 'node:events';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, test, vi } from 'vitest';
import { createLiveStreams, type LiveStreams } from '../../../src/api/console/live-streams.js';
import type { Caller } from '../../../src/api/http/caller.js';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import { waitUntil } from '../../support/processes.js';

let app: FastifyInstance | undefined;
let liveStreams: LiveStreams;
const closing = new AbortController();
afterEach(async () => {
  vi.restoreAllMocks();
  await app?.close();
});

interface Page {
  read: () => Promise<unknown>;
  first?: () => unknown;
  callerOf?: (name: string) => Caller;
  isFinal?: (value: unknown) => boolean;
}

const shopperNamed = (id: string): Caller => ({ id, roles: ['shopper'] });

/** Serves one live page. The path is the name of the caller. Returns the URL without the path. */
async function serve({ read, first, callerOf = shopperNamed, isFinal = () => false }: Page): Promise<string> {
  liveStreams = createLiveStreams(closing.signal);
  app = Fastify({ forceCloseConnections: true });
  app.decorateRequest('caller');
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof HttpProblem ? error.status : 500).send((error as Error).message),
  );
  app.get<{ Params: { name: string } }>('/:name', async (request, reply) => {
    request.caller = callerOf(request.params.name);
    return liveStreams.send(request, reply, {
      key: 'the page',
      read,
      first: first?.(),
      isFinal,
      render: (value) => `${String(value)} for ${request.caller.id}`,
    });
  });
  return await app.listen({ port: 0, host: '127.0.0.1' });
}

/** Collects the updates of a stream. `ended` says whether the server or the test ended the stream. */
function follow(url: string) {
  const aborted = new AbortController();
  const updates: string[] = [];
  let text = '';
  const ended = (async () => {
    const response = await fetch(url, { signal: aborted.signal });
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      updates.splice(
        0,
        Infinity,
        ...[...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as string),
      );
    }
    return 'by the server' as const;
  })().catch((error: unknown) => {
    if (aborted.signal.aborted) return 'by the test' as const;
    throw error;
  });
  return { updates, ended, abort: () => aborted.abort() };
}

test('two viewers of a page share one read, and each gets the content for its caller', async () => {
  let reads = 0;
  const url = await serve({ read: async () => `read ${(reads += 1)}` });
  const [ada, bob] = [follow(`${url}/ada`), follow(`${url}/bob`)];
  await waitUntil(() => (ada.updates.length >= 3 && bob.updates.length >= 3) || undefined, {
    description: 'three updates for both viewers',
    timeoutMs: 20_000,
  });
  const readsOfThreeUpdates = reads;
  for (const { abort, ended } of [ada, bob]) {
    abort();
    await ended;
  }

  expect(ada.updates.slice(0, 2)).toEqual(['read 1 for ada', 'read 2 for ada']);
  expect(bob.updates.slice(0, 2)).toEqual(['read 1 for bob', 'read 2 for bob']);
  expect(readsOfThreeUpdates).toBeLessThanOrEqual(4);
});

test('a stream starts with what its route has read, and not with an older shared read', async () => {
  let content = 'before';
  const url = await serve({ read: async () => content, first: () => content });
  const ada = follow(`${url}/ada`);
  // The second update of Ada is a shared read, which Bob must not get first.
  await waitUntil(() => ada.updates.length >= 1 || undefined, { description: 'the content', timeoutMs: 20_000 });
  content = 'after';
  const bob = follow(`${url}/bob`);
  await waitUntil(() => ada.updates.length >= 2 || undefined, { description: 'the change', timeoutMs: 20_000 });
  content = 'later';
  const eve = follow(`${url}/eve`);
  await waitUntil(() => (bob.updates.length >= 1 && eve.updates.length >= 1) || undefined, {
    description: 'the content of later viewers',
    timeoutMs: 20_000,
  });
  for (const { abort, ended } of [ada, bob, eve]) {
    abort();
    await ended;
  }

  expect(bob.updates[0]).toBe('after for bob');
  expect(eve.updates[0]).toBe('later for eve');
});

test('a failed read keeps the content, and the next read updates it', async () => {
  let reads = 0;
  const url = await serve({
    read: async () => {
      reads += 1;
      if (reads === 2) throw new Error('the backend is down');
      return `read ${reads}`;
    },
  });
  const { updates, abort, ended } = follow(`${url}/ada`);
  await waitUntil(() => updates.length >= 2 || undefined, { description: 'the next update', timeoutMs: 20_000 });
  abort();
  await ended;

  expect(updates.slice(0, 2)).toEqual(['read 1 for ada', 'read 3 for ada']);
});

test('a stream ends with the session of its caller', async () => {
  const expiresAt = Math.ceil(Date.now() / 1_000) + 1;
  const url = await serve({ read: async () => 'content', callerOf: (id) => ({ ...shopperNamed(id), expiresAt }) });

  expect(await follow(`${url}/ada`).ended).toBe('by the server');
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt * 1_000 - 50);
});

test('the stream of a final content sends the content and ends', async () => {
  const url = await serve({ read: async () => 'completed', isFinal: (value) => value === 'completed' });
  const { updates, ended } = follow(`${url}/ada`);

  expect(await ended).toBe('by the server');
  expect(updates).toEqual(['completed for ada']);
});

test('the streams of a caller who signs out end, and those of other callers continue', async () => {
  let reads = 0;
  const url = await serve({ read: async () => `read ${(reads += 1)}` });
  const [ada, bob] = [follow(`${url}/ada`), follow(`${url}/bob`)];
  await waitUntil(() => (ada.updates.length > 0 && bob.updates.length > 0) || undefined, {
    description: 'both streams',
    timeoutMs: 20_000,
  });

  liveStreams.endStreamsOf('ada');

  expect(await ada.ended).toBe('by the server');
  const before = bob.updates.length;
  await waitUntil(() => bob.updates.length > before || undefined, { description: 'an update', timeoutMs: 20_000 });
  bob.abort();
  await bob.ended;
});

// Node 20 garbage-collects a timeout signal that only AbortSignal.any refers to. A listener keeps the signal alive.
test('the end of a session is protected from garbage collection', async () => {
  const timeout = vi.spyOn(AbortSignal, 'timeout');
  const expiresAt = Math.floor(Date.now() / 1_000) + 60;
  const url = await serve({ read: async () => 'content', callerOf: (id) => ({ ...shopperNamed(id), expiresAt }) });
  const { updates, abort, ended } = follow(`${url}/ada`);
  await waitUntil(() => updates.length > 0 || undefined, { description: 'the content', timeoutMs: 20_000 });
  abort();
  await ended;

  const signals = timeout.mock.results.map(({ value }) => value as AbortSignal);
  expect(signals).not.toEqual([]);
  for (const signal of signals) expect(getEventListeners(signal, 'abort')).not.toEqual([]);
});

test.each([-60, 100 * 24 * 60 * 60])('a session that ends in %d seconds is not an error', async (seconds) => {
  const expiresAt = Math.floor(Date.now() / 1_000) + seconds;
  const url = await serve({ read: async () => 'content', callerOf: (id) => ({ ...shopperNamed(id), expiresAt }) });
  const { updates, abort, ended } = follow(`${url}/ada`);
  if (seconds > 0) {
    await waitUntil(() => updates.length > 0 || undefined, { description: 'the content', timeoutMs: 20_000 });
    abort();
  }

  expect(await ended).toBe(seconds > 0 ? 'by the test' : 'by the server');
});

test('a caller with 20 open streams gets 429 for another one, until one of them is closed', async () => {
  const url = await serve({ read: async () => 'content' });
  const streams = Array.from({ length: 20 }, () => follow(`${url}/ada`));
  await waitUntil(() => streams.every(({ updates }) => updates.length > 0) || undefined, {
    description: '20 open streams',
    timeoutMs: 20_000,
  });
  const statusFor = async (name: string) => {
    const aborted = new AbortController();
    const { status } = await fetch(`${url}/${name}`, { signal: aborted.signal });
    aborted.abort();
    return status;
  };

  expect(await statusFor('ada')).toBe(429);
  expect(await statusFor('bob')).toBe(200);
  streams[0]!.abort();
  await waitUntil(async () => (await statusFor('ada')) === 200 || undefined, {
    description: 'a free stream',
    timeoutMs: 20_000,
  });
  for (const { abort } of streams) abort();
  await Promise.all(streams.map(({ ended }) => ended));
});
