import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startProxy, type FaultProxy } from '../../../tools/chaos/faults/tcp-proxy.js';
import { waitUntil } from '../../support/processes.js';

/** More bytes than all buffers between client and server can hold. */
const LARGE_BYTES = 64 * 2 ** 20;
const DEADLINE_MS = 20_000;

describe('a proxied link', () => {
  let server: Server;
  let proxy: FaultProxy;
  /** The server's sockets of all connections, in the order in which they were accepted. */
  let accepted: Socket[];
  const sockets: Socket[] = [];

  beforeEach(async () => {
    accepted = [];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      accepted.push(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await startProxy((server.address() as AddressInfo).port);
  });
  afterEach(async () => {
    for (const socket of [...sockets.splice(0), ...accepted]) socket.destroy();
    await proxy.close();
    server.close();
  });

  /** Opens a connection through the proxy. @returns the sockets of both ends. */
  async function connection(): Promise<{ near: Socket; far: Socket }> {
    const before = accepted.length;
    const near = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(near);
    await once(near, 'connect');
    near.on('error', () => undefined);
    const far = await waitUntil(() => accepted[before], {
      description: 'the connection',
      timeoutMs: DEADLINE_MS,
      intervalMs: 1,
    });
    return { near, far };
  }

  /** Makes a round trip over a direct connection to the server. */
  async function roundTripTo(listener: Server): Promise<void> {
    const straight = connect((listener.address() as AddressInfo).port, '127.0.0.1');
    const before = accepted.length;
    straight.write('?');
    const far = await waitUntil(() => accepted[before], {
      description: 'the connection',
      timeoutMs: DEADLINE_MS,
      intervalMs: 1,
    });
    await once(far, 'data');
    far.end('!');
    await once(straight, 'data');
    straight.destroy();
  }

  const errorOf = async (socket: Socket): Promise<string | undefined> =>
    ((await once(socket, 'error')) as [NodeJS.ErrnoException])[0].code;

  const textOf = async (socket: Socket): Promise<string> => String(((await once(socket, 'data')) as [Buffer])[0]);

  test.each(['near', 'far'] as const)(
    'applies backpressure to the %s end if the receiver reads late, and delivers all bytes in order',
    async (from) => {
      const ends = await connection();
      const [sender, receiver] = from === 'near' ? [ends.near, ends.far] : [ends.far, ends.near];
      const sent = randomBytes(LARGE_BYTES);
      let accepted = 0;
      const sending = (async () => {
        for (; accepted < LARGE_BYTES; accepted += 2 ** 20)
          if (!sender.write(sent.subarray(accepted, accepted + 2 ** 20))) await once(sender, 'drain');
        sender.end();
      })();

      // The receiver does not read yet, so the sender cannot send all bytes.
      let last = -1;
      const hasStalled = () => (last === accepted ? true : ((last = accepted), undefined));
      await waitUntil(hasStalled, { description: 'the end of the flow', timeoutMs: DEADLINE_MS, intervalMs: 500 });
      expect(accepted).toBeLessThan(LARGE_BYTES);

      const hash = createHash('sha256');
      for await (const chunk of receiver as AsyncIterable<Buffer>) hash.update(chunk);
      expect(hash.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'));
      await sending;
    },
  );

  test('delivers a response after the client has half-closed the connection', async () => {
    const { near, far } = await connection();
    near.end('question');
    far.resume();
    await once(far, 'end');
    far.end('answer');
    expect(await textOf(near)).toBe('answer');
  });

  test('on a cut, resets both ends, and then accepts new connections', async () => {
    const { near, far } = await connection();
    const errors = Promise.all([errorOf(near), errorOf(far)]);
    for (const end of [near, far]) end.resume();
    proxy.resetConnections();
    expect(await errors).toEqual(['ECONNRESET', 'ECONNRESET']);
    const next = await connection();
    next.near.write('hello');
    expect(await textOf(next.far)).toBe('hello');
  });

  test('breaks connections and refuses new connections with ECONNREFUSED until the same port is restored', async () => {
    const { near } = await connection();
    near.resume();
    const broken = errorOf(near);
    const { port } = proxy;
    await proxy.refuseConnections();
    expect(await broken).toBe('ECONNRESET');
    const rejected = connect(port, '127.0.0.1');
    expect(await errorOf(rejected)).toBe('ECONNREFUSED');
    await proxy.restore();
    expect(proxy.port).toBe(port);
    await connection();
  });

  test('delays each direction by the latency plus at most the jitter', async () => {
    const lag = { latencyMs: 150, jitterMs: 50 };
    const { near, far } = await connection();
    far.on('data', (chunk) => far.write(chunk));
    const roundTrip = async (): Promise<number> => {
      const started = performance.now();
      near.write('ping');
      expect(await textOf(near)).toBe('ping');
      return performance.now() - started;
    };
    proxy.addLatency(lag);
    const slow = await roundTrip();
    // A timer can fire a millisecond early.
    expect(slow).toBeGreaterThanOrEqual(2 * lag.latencyMs - 2);
    expect(slow).toBeLessThan(2 * (lag.latencyMs + lag.jitterMs) + 500);
    await proxy.restore();
    expect(await roundTrip()).toBeLessThan(lag.latencyMs);
  });

  test('in a blackhole, holds back all data without breaking connections, and delivers the data when the link is restored', async () => {
    const { near, far } = await connection();
    const [arrivedFar, arrivedNear]: string[][] = [[], []];
    far.on('data', (chunk) => arrivedFar!.push(String(chunk)));
    near.on('data', (chunk) => arrivedNear!.push(String(chunk)));
    proxy.blackhole();
    const finished = once(near, 'finish');
    near.end('late');
    far.write('late too');
    const during = await connection();
    during.near.write('from a new one');
    const eventually = textOf(during.far);
    await finished;
    // Waits several times as long as an undisturbed delivery takes.
    for (let turn = 0; turn < 20; turn += 1) await roundTripTo(server);
    expect([arrivedFar, arrivedNear, far.readableEnded, near.destroyed]).toEqual([[], [], false, false]);

    const ended = once(far, 'end');
    await proxy.restore();
    await ended;
    expect(arrivedFar).toEqual(['late']);
    expect(await eventually).toBe('from a new one');
    await waitUntil(() => arrivedNear!.length > 0 || undefined, { description: 'the answer', timeoutMs: DEADLINE_MS });
    expect(arrivedNear).toEqual(['late too']);
  });

  test("resets the client's connection if no server listens on the other end", async () => {
    server.close();
    await once(server, 'close');
    const caller = connect(proxy.port, '127.0.0.1').resume();
    expect(await errorOf(caller)).toBe('ECONNRESET');
  });
});
