import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connectApi } from '../../../tools/api-client/client.js';

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** Starts a server whose response body is the request body. */
async function startEchoServer(received: string[]): Promise<string> {
  const server = createServer((request, response) => {
    received.push(`${request.method} ${request.url}`);
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    request.pipe(response);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('connectApi sends complete requests to two API processes in turn', async () => {
  const [one, two]: [string[], string[]] = [[], []];
  const api = connectApi([await startEchoServer(one), await startEchoServer(two)]);

  const reason = { reason: 'changed my mind' };
  const path = { params: { path: { orderId: 'first' } } };
  for (let call = 0; call < 3; call += 1) {
    const { data } = await api.POST('/v1/orders/{orderId}/cancel', { ...path, body: reason });
    expect(data).toEqual(reason);
  }

  expect(one).toEqual(Array(2).fill('POST /v1/orders/first/cancel'));
  expect(two).toEqual(['POST /v1/orders/first/cancel']);
});
