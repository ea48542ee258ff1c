import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { freeLowPort } from '../../processes/ports.js';
import { SeededRandom } from '../random.js';

export interface Latency {
  latencyMs: number;
  /** The maximum random delay in addition to `latencyMs`. */
  jitterMs: number;
}

/** A TCP proxy on loopback that can inject network faults. */
export interface FaultProxy {
  /** The port for callers. It never changes. */
  readonly port: number;
  /** Resets all connections: both ends get a RST. New connections are accepted. */
  resetConnections(): void;
  /** Resets all connections and refuses new ones. */
  refuseConnections(): Promise<void>;
  /**
   * Delays data in both directions without reordering it. Data that arrives during a delay is forwarded together with
   * the delayed data.
   */
  addLatency(latency: Latency): void;
  /**
   * Holds back all data in both directions without closing connections. `restore` forwards the data, like a TCP
   * retransmission. The sender may have timed out long before.
   */
  blackhole(): void;
  /** Ends all faults on the link. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy to a port on loopback. Callers get a RST when no server listens on that port. */
export async function startProxy(targetPort: number, random = new SeededRandom(0)): Promise<FaultProxy> {
  // Outside the range of ephemeral ports, so no other process gets this port while the proxy refuses connections.
  const port = await freeLowPort();
  const sockets = new Set<Socket>();
  let latency: Latency | undefined;
  let open = Promise.resolve();
  let reopen = (): void => undefined;

  const waitForPassage = async (): Promise<void> => {
    if (latency) await delay(latency.latencyMs + random.number() * latency.jitterMs);
    await open;
  };
  // The end of the stream is delayed like the data.
  const forward = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      await waitForPassage();
      yield chunk;
    }
    await waitForPassage();
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
      // A pipeline applies backpressure. One direction may end before the opposite one.
      const bytes = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      pipeline(bytes, forward, other).catch(() => undefined);
    }
  });
  const listen = async (): Promise<void> => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const resetAll = (): void => {
    for (const socket of sockets) resetSocket(socket);
  };
  const refuseAll = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    resetAll();
    await closed;
  };
  const endFaults = (): void => {
    latency = undefined;
    reopen();
  };

  await listen();
  return {
    port,
    resetConnections: resetAll,
    refuseConnections: refuseAll,
    addLatency(newLatency) {
      latency = newLatency;
    },
    blackhole() {
      reopen();
      open = new Promise((resolve) => (reopen = resolve));
    },
    async restore() {
      endFaults();
      if (!server.listening) await listen();
    },
    async close() {
      endFaults();
      await refuseAll();
    },
  };
}

/** Sends a RST, even while written data is pending. */
function resetSocket(socket: Socket): void {
  socket.resetAndDestroy().destroy();
}
