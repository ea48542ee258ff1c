import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * Serves the calls of the bench and of the carrier: `POST /orders` starts an order, `GET /orders/<id>` waits until the
 * order has ended and returns its status, and `POST /reports` delivers a report of the carrier. Prints `ready`.
 */
export async function serveOrders({ start, resultOf, report }) {
  const server = createServer((request, response) => {
    void handle(request).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? null)),
      (error) => response.writeHead(500).end(String(error?.stack ?? error)),
    );
  });

  async function handle(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
    if (request.method === 'POST' && request.url === '/orders') return await start(body);
    if (request.method === 'POST' && request.url === '/reports') return await report(body);
    return await resultOf(request.url.slice('/orders/'.length));
  }

  server.listen(Number(process.env.PORT), '127.0.0.1');
  await once(server, 'listening');
  console.log('ready');
}
