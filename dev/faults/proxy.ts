import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { freeLowPort } from '../ports.js';
import { Random } from './random.js';

export interface Lag {
  latencyMs: number;
  /** At most so much more, by chance. */
  jitterMs: number;
}

/** A TCP connection's way over loopback that can be made a bad one. */
export interface Proxy {
  /** Where callers connect to; it stays the same. */
  readonly port: number;
  /** Breaks all connections: both ends get a RST. New ones are welcome. */
  cut(): void;
  /** Breaks all connections and takes no new ones. */
  refuse(): Promise<void>;
  /** What is sent, in either direction, arrives later, in order; what comes meanwhile goes along with it. */
  delay(lag: Lag): void;
  /**
   * Nothing arrives any more, in either direction, and no connection breaks. What was sent arrives when the link is
   * restored, as TCP would send it again then: long after its sender may have given up.
   */
  swallow(): void;
  /** Ends whatever was done to the link. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a way to a port on loopback. Callers that come while nobody listens there get a RST. */
export async function startProxy(targetPort: number, random = new Random(0)): Promise<Proxy> {
  // Not one that the system hands out: while connections are refused nobody else is given it.
  const port = await freeLowPort();
  const sockets = new Set<Socket>();
  let lag: Lag | undefined;
  let open = Promise.resolve();
  let reopen = (): void => undefined;

  const passage = async (): Promise<void> => {
    if (lag) await delay(lag.latencyMs + random.number() * lag.jitterMs);
    await open;
  };
  // The end of what is sent takes the same way as all before it.
  const through = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      await passage();
      yield chunk;
    }
    await passage();
  };

  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true });
    for (const [socket, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      socket.setNoDelay(true).on('error', () => reset(other));
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      // A pipeline waits for its slower end before it reads on. One direction may end before the other.
      const bytes = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      pipeline(bytes, through, other).catch(() => undefined);
    }
  });
  const listen = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = (): void => {
    for (const socket of sockets) reset(socket);
  };
  const refuse = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };
  const clear = (): void => {
    lag = undefined;
    reopen();
  };

  await listen();
  return {
    port,
    cut,
    refuse,
    delay(asked) {
      lag = asked;
    },
    swallow() {
      reopen();
      open = new Promise((resolve) => (reopen = resolve));
    },
    async restore() {
      clear();
      if (!server.listening) await listen();
    },
    async close() {
      clear();
      await refuse();
    },
  };
}

/** With a RST, and also when what was written is still waiting. */
function reset(socket: Socket): void {
  socket.resetAndDestroy().destroy();
}
