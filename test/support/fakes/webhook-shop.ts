import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { onTestFinished } from 'vitest';

interface ReceivedWebhook {
  headers: Record<string, string>;
  body: string;
  status: string;
}

/** Starts a shop that returns the given statuses for webhooks, and then 202. */
export async function startWebhookShop(statuses: number[] = []) {
  const received: ReceivedWebhook[] = [];
  const shop = Fastify();
  shop.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  shop.post('/callbacks', (request, reply) => {
    const body = request.body as string;
    received.push({
      headers: request.headers as Record<string, string>,
      body,
      status: (JSON.parse(body) as { status: string }).status,
    });
    return reply
      .header('location', '/elsewhere')
      .code(statuses.shift() ?? 202)
      .send();
  });
  shop.get('/elsewhere', () => 'a page that takes anything');
  await shop.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => shop.close());
  return { received, statuses, url: `http://127.0.0.1:${(shop.server.address() as AddressInfo).port}/callbacks` };
}
