import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface ReceivedRequest {
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A response without an effect; or a request that takes effect and whose response is lost, unreadable or missing. */
export type ResponseFault =
  { status: number; retryAfter?: string; body?: string } | 'lost response' | 'garbled' | 'no response';

/** Starts an HTTP server that can misbehave, for each approver alone. */
export async function startFaultyServer(options: {
  approverOf: (request: ReceivedRequest) => string;
  handle: (request: ReceivedRequest) => Promise<{ status: number; body: string }>;
}) {
  const faults = new Map<string, ResponseFault>();
  const server = createServer((incoming, response) => {
    void (async () => {
      const { url = '', headers } = incoming;
      const request = { url, headers, body: await text(incoming) };
      const approver = options.approverOf(request);
      const fault = faults.get(approver);
      faults.delete(approver);
      if (typeof fault === 'object') {
        const { status, retryAfter, body = '' } = fault;
        return response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end(body);
      }
      const { status, body } = await options.handle(request);
      if (fault === 'no response') return undefined;
      if (fault === 'lost response') return incoming.socket.destroy();
      if (fault === 'garbled') return incoming.socket.end('this is not HTTP\r\n\r\n');
      return response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    })().catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Sets the fault of the next request for an approver. */
    setFault: (approver: string, fault: ResponseFault) => void faults.set(approver, fault),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
