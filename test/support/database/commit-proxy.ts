import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * A database proxy that can withhold the response to one commit. The transaction is committed, but the client gets no
 * confirmation.
 */
export interface CommitProxy {
  /** The database URL that connects through the proxy. */
  url: string;
  /**
   * Withholds the response to the next commit of a transaction that contains this text. A statement outside a
   * transaction counts as a transaction. Resolves when the transaction is committed.
   */
  withholdNextCommit: (text: string) => Promise<void>;
  close: () => Promise<void>;
}

/** Starts a proxy that forwards all bytes unchanged, except the withheld responses, which it drops. */
export async function startCommitProxy(databaseUrl: string): Promise<CommitProxy> {
  const database = new URL(databaseUrl);
  const waiting = new Map<string, () => void>();
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect(Number(database.port), database.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }

    let transaction = '';
    let isOpen = false;
    let committed: (() => void) | undefined;
    client.on('data', (chunk) => {
      const sent = chunk.toString('latin1');
      if (/\bbegin\b/i.test(sent)) isOpen = true;
      // PostgreSQL runs a statement outside a transaction in a transaction of its own.
      if (/\bbegin\b/i.test(sent) || !isOpen) transaction = '';
      transaction += sent;
      const commits = !isOpen || /\bcommit\b/i.test(sent);
      if (/\b(commit|rollback)\b/i.test(sent)) isOpen = false;
      if (commits) {
        const text = [...waiting.keys()].find((candidate) => transaction.includes(candidate));
        if (text !== undefined) {
          committed = waiting.get(text);
          waiting.delete(text);
        }
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (committed) committed();
      else client.write(chunk);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const url = new URL(database);
  url.port = String((server.address() as AddressInfo).port);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    withholdNextCommit: (text) => new Promise((resolve) => waiting.set(text, resolve)),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
