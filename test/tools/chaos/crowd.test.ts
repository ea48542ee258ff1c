import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { startCrowd, type Crowd, type Pace } from '../../../tools/chaos/clients/index.js';
import type { Ledger } from '../../../tools/chaos/ledger.js';
import { Random } from '../../../tools/chaos/random.js';
import { waitUntil } from '../../../tools/processes/wait.js';
import { APPROVAL_WEBHOOK_SECRET } from '../../support/activities.js';
import { CARRIER_WEBHOOK_SECRET } from '../../support/outside-world.js';

interface Received {
  method: string;
  url: string;
  key: string | undefined;
}

type Reply = 'breaks' | 'silent' | { status: number; body: unknown };

const IN_PROGRESS = { status: 409, body: { type: '/problems/request-in-progress' } };
const AWAY = { status: 503, body: { type: '/problems/temporal-unavailable' } };
const REFUSED = { status: 409, body: { type: '/problems/order-id-taken' } };
const taken = (orderId: string) => ({ status: 202, body: { orderId, status: 'processing' } });

/** Starts a server that responds with `reply`, and a load generator that calls it. */
async function aCrowd(
  reply: (request: Received) => Reply,
  { seed = 1, pace = {} }: { seed?: number; pace?: Partial<Pace> } = {},
) {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const one = { method, url, key: headers['idempotency-key'] as string | undefined };
    received.push(one);
    request.resume();
    const said = reply(one);
    if (said === 'breaks') request.socket.destroy();
    else if (said !== 'silent')
      response.writeHead(said.status, { 'content-type': 'application/json' }).end(JSON.stringify(said.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const crowd = startCrowd({
    addresses: {
      apiUrls: [url],
      paymentsUrl: `${url}/payments`,
      carrierWebhookSecret: CARRIER_WEBHOOK_SECRET,
      approvalWebhookSecret: APPROVAL_WEBHOOK_SECRET,
    },
    random: new Random(seed),
    pace: { customers: 4, restMs: 10, batchLines: 10, ...pace },
  });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { crowd, received, close };
}

describe('the load generator', () => {
  const open: { crowd: Crowd; close: () => void }[] = [];
  afterEach(async () => {
    for (const { crowd, close } of open.splice(0)) {
      await crowd.stop(0);
      close();
    }
  });

  async function come(...args: Parameters<typeof aCrowd>) {
    const one = await aCrowd(...args);
    open.push(one);
    return one;
  }

  const isOrder = ({ method, url }: Received) => method === 'POST' && url === '/v1/orders';

  /** Runs only the probes, without customers. */
  const alone = { pace: { customers: 0 } };

  test('repeats a failed or unfinished request under its key until it succeeds and records it once', async () => {
    const replies: Reply[] = ['breaks', AWAY, IN_PROGRESS];
    const tries = new Map<string, number>();
    const { crowd, received } = await come((request) => {
      if (!isOrder(request)) return { status: 200, body: { status: 'completed', stage: 'done' } };
      const number = tries.get(request.key!) ?? 0;
      tries.set(request.key!, number + 1);
      return replies[number] ?? taken(`order-of-${request.key}`);
    }, alone);

    await crowd.completesAnOrder(20_000);
    const { orders, refused, attempts } = await crowd.stop(20_000);

    expect(orders.length).toBeGreaterThan(0);
    for (const { key, fate, answers } of orders) {
      expect(fate).toBe('accepted');
      expect(new Set(answers)).toEqual(new Set([`order-of-${key}`]));
      expect(tries.get(key)).toBeGreaterThanOrEqual(replies.length + 1);
    }
    expect(Object.keys(refused)).toEqual(expect.arrayContaining(['place 503', 'place 409']));
    expect(Object.keys(refused).some((what) => /^place (ECONNRESET|UND_ERR_SOCKET)$/.test(what))).toBe(true);
    expect(attempts).toBe(received.length);
  });

  test('records a rejected request as rejected and does not repeat it', async () => {
    const { crowd, received } = await come(() => REFUSED, alone);

    await expect(crowd.completesAnOrder(1_000)).rejects.toThrow('no order was completed within 1 s');
    const { orders } = await crowd.stop(20_000);

    expect(orders.length).toBeGreaterThan(0);
    for (const { key, fate, answers } of orders) {
      expect(fate).toBe('refused');
      expect(received.filter((request) => request.key === key).length).toBe(answers.length);
    }
  });

  test('records every request without a response as unknown at the deadline', async () => {
    const { crowd } = await come((request) => (isOrder(request) ? 'silent' : AWAY));
    await waitUntil(() => (crowd.ledger.orders.length > 0 ? true : undefined), {
      what: 'an order',
      deadlineMs: 10_000,
    });

    const { orders, carts, approvals, batches } = await crowd.stop(100);

    const requests = [...orders, ...carts.flatMap(({ changes }) => changes), ...batches];
    expect(new Set(requests.map(({ fate }) => fate))).toEqual(new Set(['unknown']));
    expect(requests.flatMap(({ answers }) => answers)).toEqual([]);
    expect(approvals.flatMap(({ decisions }) => decisions).map(({ fate }) => fate)).not.toContain('accepted');
  });

  test('makes the same requests for the same seed and others for another seed', async () => {
    const wants = async (seed: number): Promise<Partial<Ledger>> => {
      const customers = 12;
      const { crowd } = await come(() => AWAY, { seed, pace: { customers } });
      // Plus one customer who orders from an unreliable carrier.
      const all = customers + 1;
      const begun = ({ orders, carts, approvals }: Ledger) => orders.length + carts.length + approvals.length;
      await waitUntil(() => (begun(crowd.ledger) === all ? true : undefined), {
        what: 'all of them',
        deadlineMs: 10_000,
      });
      const { orders, carts, approvals, batches } = await crowd.stop(0);
      return { orders, carts, approvals, batches };
    };

    const [first, again, other] = [await wants(7), await wants(7), await wants(8)];

    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
