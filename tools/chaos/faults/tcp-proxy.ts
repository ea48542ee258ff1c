import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { freeLowPort } from '../../processes/ports.js';
import { SeededRandom } from '../random.js';

export interface Latency {
  latencyMs: number;
  /** Maximum of the random additional delay. */
  jitterMs: number;
}

/** A TCP proxy on loopback that can inject network faults. */
export interface FaultProxy {
  /** The port for callers; it never changes. */
  readonly port: number;
  /** Breaks all connections: both ends get a RST. New connections are accepted. */
  resetConnections(): void;
  /** Breaks all connections and refuses new ones. */
  refuseConnections(): Promise<void>;
  /** Delays data in both directions and keeps its order; data that arrives during a delay is forwarded with it. */
  addLatency(lag: Latency): void;
  /**
   * Forwards nothing in either direction, and breaks no connection. The data arrives when the link is restored, as
   * after TCP retransmission: long after its sender may have given up.
   */
  blackhole(): void;
  /** Ends all faults on the link. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy to a port on loopback. Callers get a RST while no server listens on that port. */
export async function startProxy(targetPort: number, random = new SeededRandom(0)): Promise<FaultProxy> {
  // A port outside the range from which the system assigns ports, so that no other process gets it while connections
  // are refused.
  const port = await freeLowPort();
  const sockets = new Set<Socket>();
  let lag: Latency | undefined;
  let open = Promise.resolve();
  let reopen = (): void => undefined;

  const passage = async (): Promise<void> => {
    if (lag) await delay(lag.latencyMs + random.number() * lag.jitterMs);
    await open;
  };
  // The end of the data takes the same way as the data before it.
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
      socket.setNoDelay(true).on('error', () => resetSocket(other));
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      // A pipeline stops reading while its slower end is busy. One direction may end before the other.
      const bytes = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      pipeline(bytes, through, other).catch(() => undefined);
    }
  });
  const listen = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = (): void => {
    for (const socket of sockets) resetSocket(socket);
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
    resetConnections: cut,
    refuseConnections: refuse,
    addLatency(asked) {
      lag = asked;
    },
    blackhole() {
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

/** Sends a RST, even while written data is still pending. */
function resetSocket(socket: Socket): void {
  socket.resetAndDestroy().destroy();
}
