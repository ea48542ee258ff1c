import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { waitUntil } from '../processes/wait.js';
import type { ComposeProject } from './compose-project.js';

const requestTimeoutMs = 10_000;
const probeIntervalMs = 50;
const placeTimeoutMs = 3 * 60_000;
const completeTimeoutMs = 5 * 60_000;

const ledgerSchema = z.object({
  charges: z.array(z.object({ orderId: z.string() })),
  refunds: z.array(z.object({ orderId: z.string() })),
  shipments: z.array(z.object({ orderId: z.string() })),
});

/** A customer of the shop in the containers, and a reader of the ledger of its fakes. */
export class ShopClient {
  readonly #project: ComposeProject;
  readonly #apiKey: string;

  constructor(project: ComposeProject, apiKey: string) {
    this.#project = project;
    this.#apiKey = apiKey;
  }

  /** Places an order and retries with the same idempotency key until the API accepts the order. */
  async placeOrder(orderId: string): Promise<void> {
    const body = {
      orderId,
      customerId: 'ada',
      lines: [{ sku: 'MUG-ENAMEL', quantity: 1 }],
      payment: { token: 'tok_ok' },
    };
    await waitUntil(
      async () => {
        const response = await this.#request('POST', '/v1/orders', body, { 'idempotency-key': orderId });
        if (response.ok) return true;
        throw new Error(`${response.status} ${await response.text()}`);
      },
      { description: `acceptance of order ${orderId}`, timeoutMs: placeTimeoutMs, intervalMs: 250 },
    );
  }

  /** Waits until every order is completed. @throws when an order ends otherwise or not in time. */
  async waitForCompletion(orderIds: readonly string[]): Promise<void> {
    for (const orderId of orderIds)
      await waitUntil(async () => ((await this.readStatus(orderId)) === 'completed' ? true : undefined), {
        description: `completion of order ${orderId}`,
        timeoutMs: completeTimeoutMs,
        intervalMs: 250,
      });
  }

  async readStatus(orderId: string): Promise<string> {
    const response = await this.#request('GET', `/v1/orders/${orderId}`);
    if (!response.ok) throw new Error(`order ${orderId}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { status: string }).status;
  }

  /** Waits until the removal of a product from a cart without the product is rejected with this text. */
  async waitForRemovalProblem(text: string): Promise<void> {
    const cart = '/v1/carts/of-a-developer';
    await waitUntil(
      async () => {
        await this.#request('POST', `${cart}/items`, { sku: 'MUG-ENAMEL', quantity: 1 });
        const problem = await (await this.#request('DELETE', `${cart}/items/OTHER`)).text();
        if (!problem.includes(text)) throw new Error(problem);
        return true;
      },
      { description: `a cart that answers "${text}"`, timeoutMs: completeTimeoutMs, intervalMs: 250 },
    );
  }

  /** Waits until the API reference has this title. */
  async waitForTitle(title: string): Promise<void> {
    await waitUntil(
      async () => {
        const reference = await (await this.#request('GET', '/openapi.json')).text();
        return reference.includes(`"title":"${title}"`) ? true : undefined;
      },
      { description: `the title "${title}"`, timeoutMs: completeTimeoutMs, intervalMs: 250 },
    );
  }

  /** Returns the orders that are not charged exactly once, shipped exactly once and never refunded. */
  async findUnbalancedOrders(orderIds: readonly string[]): Promise<string[]> {
    const script = "fetch('http://127.0.0.1:3001/test/ledger').then((r) => r.text()).then(console.log)";
    const output = await this.#project.compose(['exec', '-T', 'fakes', 'node', '-e', script]);
    const ledger = ledgerSchema.parse(JSON.parse(output));
    const balance = (orderId: string) => {
      const count = (kind: keyof typeof ledger) => ledger[kind].filter((effect) => effect.orderId === orderId).length;
      return `${count('charges')} charges, ${count('shipments')} shipments, ${count('refunds')} refunds`;
    };
    return orderIds
      .map((orderId) => ({ orderId, effects: balance(orderId) }))
      .filter(({ effects }) => effects !== '1 charges, 1 shipments, 0 refunds')
      .map(({ orderId, effects }) => `${orderId}: ${effects}`);
  }

  /** Lists orders again and again. A failure is a request to which no API responded. */
  startProbe(): { stop(): Promise<{ requests: number; failures: string[] }> } {
    const failures: string[] = [];
    let requests = 0;
    let stopped = false;
    const running = (async () => {
      while (!stopped) {
        requests += 1;
        await this.#request('GET', '/v1/orders?limit=1').then(
          async (response) => {
            if (isFromApi(response)) await response.body?.cancel();
            else failures.push(`${response.status} ${await response.text()}`);
          },
          (error: unknown) => void failures.push(String((error as Error).cause ?? error)),
        );
        await delay(probeIntervalMs);
      }
    })();
    return {
      async stop() {
        stopped = true;
        await running;
        return { requests, failures };
      },
    };
  }

  #request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.#project.apiUrl + path, {
      method,
      headers: { 'x-api-key': this.#apiKey, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
  }
}

/** Whether an API responded. On a busy machine, an API may reject a request as overloaded. The gateway responds in HTML. */
const isFromApi = ({ ok, headers }: Response): boolean => ok || /problem\+json/.test(headers.get('content-type') ?? '');
