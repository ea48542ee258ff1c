import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ReceivedWebhook {
  body: string;
  headers: IncomingHttpHeaders;
}

/** A status, bytes that are no HTTP response, or no response at all. */
export type WebhookResponse = number | { malformed: string } | 'none';

/** A webhook receiver. It returns 204 until `respondWith` sets a different response. */
export interface WebhookReceiver {
  url: string;
  received: ReceivedWebhook[];
  respondWith: (response: WebhookResponse) => void;
  close: () => Promise<void>;
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedWebhook[] = [];
  let next: WebhookResponse = 204;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push({ body, headers: request.headers });
      if (typeof next === 'number') response.writeHead(next).end();
      else if (next !== 'none') response.socket?.end(next.malformed);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    respondWith: (response) => (next = response),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
