import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import {
  startLoadGenerator,
  type LoadGenerator,
  type LoadProfile,
} from '../../../tools/chaos/clients/load-generator.js';
import type { ClientLog } from '../../../tools/chaos/client-log.js';
import { SeededRandom } from '../../../tools/chaos/random.js';
import { waitUntil } from '../../support/processes.js';
import { APPROVAL_WEBHOOK_SECRET } from '../../support/shop/test-activities.js';
import { CARRIER_WEBHOOK_SECRET } from '../../support/fakes/running-fakes.js';

interface ReceivedRequest {
  method: string;
  url: string;
  key: string | undefined;
}

type Reply = 'breaks' | 'silent' | { status: number; body: unknown };

const IN_PROGRESS = { status: 409, body: { type: '/problems/request-in-progress' } };
const UNAVAILABLE = { status: 503, body: { type: '/problems/temporal-unavailable' } };
const ID_TAKEN = { status: 409, body: { type: '/problems/order-id-taken' } };
const acceptedOrder = (orderId: string) => ({ status: 202, body: { orderId, status: 'processing' } });

/** Starts a server that responds with `reply`, and a load generator that calls this server. */
async function startServerAndClients(
  reply: (request: ReceivedRequest) => Reply,
  { seed = 1, pace = {} }: { seed?: number; pace?: Partial<LoadProfile> } = {},
) {
  const received: ReceivedRequest[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const receivedRequest = { method, url, key: headers['idempotency-key'] as string | undefined };
    received.push(receivedRequest);
    request.resume();
    const sentReply = reply(receivedRequest);
    if (sentReply === 'breaks') request.socket.destroy();
    else if (sentReply !== 'silent')
      response.writeHead(sentReply.status, { 'content-type': 'application/json' }).end(JSON.stringify(sentReply.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const generator = startLoadGenerator({
    addresses: {
      apiUrls: [url],
      paymentsUrl: `${url}/payments`,
      carrierWebhookSecret: CARRIER_WEBHOOK_SECRET,
      approvalWebhookSecret: APPROVAL_WEBHOOK_SECRET,
    },
    random: new SeededRandom(seed),
    profile: { clients: 4, maxPauseMs: 10, linesPerBatch: 10, ...pace },
  });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { generator, received, close };
}

describe('the load generator', () => {
  const open: { generator: LoadGenerator; close: () => void }[] = [];
  afterEach(async () => {
    for (const { generator, close } of open.splice(0)) {
      await generator.stop(0);
      close();
    }
  });

  async function startForTest(...args: Parameters<typeof startServerAndClients>) {
    const request = await startServerAndClients(...args);
    open.push(request);
    return request;
  }

  const isOrder = ({ method, url }: ReceivedRequest) => method === 'POST' && url === '/v1/orders';

  /** Runs only the probe orders, without other clients. */
  const alone = { pace: { clients: 0 } };

  test('retries a failed or unfinished request with the same key until it succeeds, and records it once', async () => {
    const replies: Reply[] = ['breaks', UNAVAILABLE, IN_PROGRESS];
    const tries = new Map<string, number>();
    const { generator, received } = await startForTest((request) => {
      if (!isOrder(request)) return { status: 200, body: { status: 'completed', stage: 'done' } };
      const number = tries.get(request.key!) ?? 0;
      tries.set(request.key!, number + 1);
      return replies[number] ?? acceptedOrder(`order-of-${request.key}`);
    }, alone);

    await generator.waitForCompletedOrder(20_000);
    const { orders, failedRequests, requestsSent } = await generator.stop(20_000);

    expect(orders.length).toBeGreaterThan(0);
    for (const { key, outcome, responses } of orders) {
      expect(outcome).toBe('accepted');
      expect(new Set(responses)).toEqual(new Set([`order-of-${key}`]));
      expect(tries.get(key)).toBeGreaterThanOrEqual(replies.length + 1);
    }
    expect(Object.keys(failedRequests)).toEqual(expect.arrayContaining(['place 503', 'place 409']));
    expect(Object.keys(failedRequests).some((what) => /^place (ECONNRESET|UND_ERR_SOCKET)$/.test(what))).toBe(true);
    expect(requestsSent).toBe(received.length);
  });

  test('records a rejected request as rejected and does not retry it', async () => {
    const { generator, received } = await startForTest(() => ID_TAKEN, alone);

    await expect(generator.waitForCompletedOrder(1_000)).rejects.toThrow('no order was completed within 1 s');
    const { orders } = await generator.stop(20_000);

    expect(orders.length).toBeGreaterThan(0);
    for (const { key, outcome, responses } of orders) {
      expect(outcome).toBe('rejected');
      expect(received.filter((request) => request.key === key).length).toBe(responses.length);
    }
  });

  test('records every request that has no response at the deadline as unknown', async () => {
    const { generator } = await startForTest((request) => (isOrder(request) ? 'silent' : UNAVAILABLE));
    await waitUntil(() => (generator.log.orders.length > 0 ? true : undefined), {
      description: 'an order',
      timeoutMs: 10_000,
    });

    const { orders, carts, approvals, batches } = await generator.stop(100);

    const requests = [...orders, ...carts.flatMap(({ changes }) => changes), ...batches];
    expect(new Set(requests.map(({ outcome }) => outcome))).toEqual(new Set(['unknown']));
    expect(requests.flatMap(({ responses }) => responses)).toEqual([]);
    expect(approvals.flatMap(({ decisions }) => decisions).map(({ outcome }) => outcome)).not.toContain('accepted');
  });

  test('makes the same requests for the same seed, and different requests for a different seed', async () => {
    const requestsForSeed = async (seed: number): Promise<Partial<ClientLog>> => {
      const customers = 12;
      const { generator } = await startForTest(() => UNAVAILABLE, { seed, pace: { clients: customers } });
      // The clients, and one more customer whose orders use an unreliable carrier.
      const all = customers + 1;
      const countStarted = ({ orders, carts, approvals }: ClientLog) => orders.length + carts.length + approvals.length;
      await waitUntil(() => (countStarted(generator.log) === all ? true : undefined), {
        description: 'all of them',
        timeoutMs: 10_000,
      });
      const { orders, carts, approvals, batches } = await generator.stop(0);
      return { orders, carts, approvals, batches };
    };

    const [first, again, other] = [await requestsForSeed(7), await requestsForSeed(7), await requestsForSeed(8)];

    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
