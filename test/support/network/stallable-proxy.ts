import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A proxy that can stall connections without closing them. Data that is sent during a stall arrives after `resume`. */
export interface StallableProxy {
  /** `host:port`. */
  address: string;
  stall: () => void;
  resume: () => void;
  close: () => Promise<void>;
}

export async function startStallableProxy(to: string): Promise<StallableProxy> {
  const [host, port] = to.split(':');
  const sockets = new Set<Socket>();
  let isStalled = false;
  const join = (from: Socket, into: Socket) => {
    sockets.add(from);
    from.on('data', (data) => into.write(data));
    from.on('error', () => into.destroy());
    from.on('close', () => {
      sockets.delete(from);
      into.destroy();
    });
    if (isStalled) from.pause();
  };
  const server = createServer((caller) => {
    const callee = connect(Number(port), host);
    join(caller, callee);
    join(callee, caller);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stall() {
      isStalled = true;
      for (const socket of sockets) socket.pause();
    },
    resume() {
      isStalled = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
