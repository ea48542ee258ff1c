import type { Server, Socket } from 'node:net';

/**
 * Returns a function that closes all connections that never sent a request. HTTP clients open spare connections. Node
 * does not treat an unused connection as idle, so closing the server would wait for that connection.
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
