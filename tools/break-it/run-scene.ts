import { setTimeout as sleep } from 'node:timers/promises';
import { runConcurrently } from '../../src/async/concurrency.js';
import { connectApi, type ApiClient } from '../api-client/client.js';
import { PROCESS_LABELS, type KillableProcess } from '../stack/kill-process.js';
import { readTotals } from './audit-scene.js';
import { countFinal, FINAL_STATUSES, type Product, type Scene } from './scene.js';
import type { ControlledFakes } from './switches.js';

const CONCURRENT_REQUESTS = 5;
const REQUEST_TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 500;
const POLL_INTERVAL_MS = 1_000;
const CHARGE_POLL_INTERVAL_MS = 20;
const MAX_WAIT_FOR_CHARGE_MS = 10_000;

/** An order stays below the default total that needs an approval. */
const MAX_PRICE = 20_000;

/** What each order of a scene contains. */
const QUANTITIES = [2, 1];

export interface SceneDependencies {
  fakes: ControlledFakes;
  apiUrl: string;
  /** Kills a process and returns its process id. */
  kill: (name: KillableProcess) => Promise<number>;
  log: (text: string) => void;
}

/**
 * Places the orders, kills the process when half of them are accepted, and waits until all orders are final. Always
 * ends: at the latest after the deadline. The outcome is in the scene.
 */
export async function runScene(scene: Scene, { fakes, apiUrl, kill, log }: SceneDependencies): Promise<void> {
  const deadline = scene.startedAt + scene.deadlineMs;
  const api = connectApi([apiUrl]);
  const count = scene.orders.length;
  try {
    scene.products = await chooseProducts(api, count);
    scene.lines = scene.products.map(({ sku }, index) => ({ sku, quantity: QUANTITIES[index]! }));
    scene.stock = new Map(scene.products.map(({ sku, available }) => [sku, available]));
    scene.before = readTotals(fakes.records());

    scene.phase = 'placing';
    log(`Placing ${count} orders`);
    let accepted = 0;
    await runConcurrently(count, CONCURRENT_REQUESTS, async (index) => {
      await placeOrder(api, scene, index, deadline);
      accepted += 1;
      if (accepted !== Math.ceil(count / 2)) return;
      await waitForCharge(scene, fakes);
      scene.killedPid = await kill(scene.kills);
      log(
        `Killed ${PROCESS_LABELS[scene.kills]} (process ${scene.killedPid}) after ${accepted} of ${count} orders were accepted`,
      );
    });

    scene.phase = 'waiting';
    while (countFinal(scene) < count) {
      if (Date.now() >= deadline) throw new Error(describeOpenOrders(scene));
      await sleep(POLL_INTERVAL_MS);
      await refreshOrders(api, scene);
      await refreshStock(api, scene);
    }
    await retry(deadline, () => readStock(api, scene));
    scene.phase = 'done';
  } catch (error) {
    scene.phase = 'failed';
    scene.failure = error instanceof Error ? error.message : String(error);
  }
  scene.endedAt = Date.now();
  const seconds = Math.round((scene.endedAt - scene.startedAt) / 1_000);
  log(scene.failure ?? `All ${count} orders are final after ${seconds} s`);
}

/** Waits until the first order is charged, so that the kill hits orders in all steps. Waits at most some seconds. */
async function waitForCharge({ orders }: Scene, { ledger }: ControlledFakes): Promise<void> {
  const deadline = Date.now() + MAX_WAIT_FOR_CHARGE_MS;
  while (Date.now() < deadline && !orders.some(({ orderId }) => ledger.charges.findByOrder(orderId).length > 0))
    await sleep(CHARGE_POLL_INTERVAL_MS);
}

/** Chooses the products with the largest stock. @throws when no product has enough stock. */
async function chooseProducts(api: ApiClient, orderCount: number): Promise<Product[]> {
  const { data, error, response } = await api.GET('/v1/products', {
    params: { query: { limit: 200 } },
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (!data) throw new Error(`The API did not list the products: ${describeProblem(response, error)}`);
  const products = data.items
    .filter(({ price }) => price.value <= MAX_PRICE)
    .sort((one, other) => other.available - one.available)
    .slice(0, QUANTITIES.length);
  const needed = (index: number) => QUANTITIES[index]! * orderCount;
  if (products.length < QUANTITIES.length || products.some(({ available }, index) => available < needed(index)))
    throw new Error(
      `The catalogue has no two products with enough stock for ${orderCount} orders. Restock them first.`,
    );
  return products;
}

/** Places an order, and repeats the request until the API answers. The order id makes the request idempotent. */
async function placeOrder(api: ApiClient, scene: Scene, index: number, deadline: number): Promise<void> {
  const order = scene.orders[index]!;
  const body = {
    orderId: order.orderId,
    customerId: 'break-it',
    lines: scene.lines,
    payment: { token: scene.token },
  };
  const { data, error, response } = await retry(deadline, async () => {
    const result = await api.POST('/v1/orders', { body, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    if (result.response.status >= 500 || result.response.status === 429)
      throw new Error(describeProblem(result.response, result.error));
    return result;
  });
  if (!data) throw new Error(`The API did not accept order ${order.orderId}: ${describeProblem(response, error)}`);
  order.status = data.status;
}

/** Reads the status of each order that is not final. Ignores failed requests, because the next poll repeats them. */
async function refreshOrders(api: ApiClient, scene: Scene): Promise<void> {
  const open = scene.orders.filter(({ status }) => !FINAL_STATUSES.includes(status));
  await runConcurrently(open.length, CONCURRENT_REQUESTS, async (index) => {
    const order = open[index]!;
    const { data } = await api
      .GET('/v1/orders/{orderId}', {
        params: { path: { orderId: order.orderId } },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      })
      .catch(() => ({ data: undefined }));
    if (data) Object.assign(order, { status: data.status, stage: data.stage });
  });
}

const refreshStock = (api: ApiClient, scene: Scene) => readStock(api, scene).catch(() => undefined);

async function readStock(api: ApiClient, scene: Scene): Promise<void> {
  const { data, error, response } = await api.GET('/v1/products', {
    params: { query: { limit: 200 } },
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (!data) throw new Error(`The API did not list the products: ${describeProblem(response, error)}`);
  const skus = scene.products.map(({ sku }) => sku);
  scene.stock = new Map(
    data.items.filter(({ sku }) => skus.includes(sku)).map(({ sku, available }) => [sku, available]),
  );
}

/** Repeats a call until it succeeds. @throws the last error after the deadline. */
async function retry<T>(deadline: number, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (Date.now() >= deadline) throw error;
      await sleep(RETRY_DELAY_MS);
    }
  }
}

function describeOpenOrders({ orders, deadlineMs }: Scene): string {
  const open = orders.filter(({ status }) => !FINAL_STATUSES.includes(status));
  const examples = open
    .slice(0, 5)
    .map(({ orderId, stage, status }) => `${orderId} (${stage ?? status ?? 'not accepted'})`);
  return `${open.length} of ${orders.length} orders are not final after ${deadlineMs / 1_000} s: ${examples.join(', ')}. The ledger below is from this moment.`;
}

function describeProblem({ status }: Response, problem: { detail?: string; title?: string } | undefined): string {
  const hint = status === 401 || status === 403 ? '. Start npm start with API_KEY set to the key of an operator' : '';
  return `${status} ${problem?.detail ?? problem?.title ?? ''}${hint}`;
}
