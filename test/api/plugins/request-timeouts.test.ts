import { connect } from 'node:net';
import Fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { requestTimeoutsPlugin } from '../../../src/api/plugins/request-timeouts.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { waitUntil } from '../../support/processes.js';

describe('requests that are not complete within the time limit', () => {
  const LIMIT_MS = 200;

  /** Starts an application with one route. Its handler responds after `releaseResponse` is called. */
  async function buildAppWithTimeLimit() {
    const app = Fastify();
    const handled: unknown[] = [];
    let releaseResponse = (): void => undefined;
    const responseReleased = new Promise<void>((resolve) => (releaseResponse = resolve));
    await app.register(requestTimeoutsPlugin, { limitMs: LIMIT_MS });
    app.post('/', async (request) => {
      handled.push(request.body);
      await responseReleased;
      return { status: 'ok' };
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    return { app, port, handled, releaseResponse };
  }

  /** Opens a connection for raw text and collects what the application sends until the connection closes. */
  function openSocket(port: number) {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8');
    let received = '';
    socket.on('data', (chunk: string) => (received += chunk));
    socket.on('error', () => undefined);
    const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
    return { socket, closed, received: () => received };
  }

  const requestHead = (length: number) =>
    `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

  test('the API returns 408 for a request whose body does not end, and closes the connection', async () => {
    const { app, port, handled } = await buildAppWithTimeLimit();
    const { socket, closed } = openSocket(port);
    socket.write(`${requestHead(100)}{"a":`);
    const received = await closed;
    await app.close();

    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(received).toMatch(/\r\nconnection: close\r\n/i);
    expect(received).toMatch(/\r\ncontent-type: application\/problem\+json/);
    const problem = JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4)) as Problem;
    expect(problem).toMatchObject({
      type: '/problems/request-timeout',
      status: 408,
      requestId: expect.any(String),
      detail: 'the request was not received completely within 0.2 seconds',
    });
    expect(handled).toEqual([]);
  });

  test('the API returns 408 for a body that arrives slowly, because the time limit applies to the whole body', async () => {
    const { app, port, handled } = await buildAppWithTimeLimit();
    const { socket, closed } = openSocket(port);
    socket.write(requestHead(10_000));
    const trickle = setInterval(() => socket.write(' '), LIMIT_MS / 10);
    const received = await closed;
    clearInterval(trickle);
    await app.close();

    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(handled).toEqual([]);
  });

  test.each([
    ['is received in one piece', [`${requestHead(7)}{"a":1}`]],
    ['is received in several pieces', [requestHead(7), '{"a"', ':1}']],
  ])('a slow handler may exceed the time limit when its request body %s', async (_description, pieces) => {
    const { app, port, handled, releaseResponse } = await buildAppWithTimeLimit();
    const { socket, closed, received } = openSocket(port);
    for (const piece of pieces) socket.write(piece);
    await waitUntil(() => handled.length || undefined, { description: 'the request', timeoutMs: 5_000, intervalMs: 5 });
    const since = performance.now();
    const isLate = () => performance.now() - since > LIMIT_MS * 2 || undefined;
    await waitUntil(isLate, { description: 'the limit', timeoutMs: 5_000, intervalMs: 20 });
    expect(received()).toBe('');
    releaseResponse();
    await waitUntil(() => received() || undefined, { description: 'the response', timeoutMs: 5_000, intervalMs: 5 });
    socket.end();

    expect(await closed).toMatch(/^HTTP\/1\.1 200 /);
    expect(handled).toEqual([{ a: 1 }]);
    await app.close();
  });
});
