import type { Server, Socket } from 'node:net';

/**
 * Returns a function that closes the connections without a request. HTTP clients open spare connections; Node does not
 * count a connection that never sent a request as idle and would wait for it.
 */
export function trackConnections(server: Server): () => void {
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return () => {
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  };
}
