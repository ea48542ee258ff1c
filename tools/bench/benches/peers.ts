import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { SampleScale } from '../bench.js';
import { addBenchProduct, BENCH_SKU } from '../load/orders.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { machineCpuSeconds } from '../measure/cpu-time.js';
import { measureOrderRate } from '../measure/order-rate.js';
import { collectConcurrently, measureLatencies } from '../measure/sampling.js';
import { installPeers, PEERS, startPeer, type OrderEngine, type PeerName } from '../programs/peers.js';
import { startTemporalEngine } from '../programs/temporal-engine.js';

const ROUNDS = 5;
const ORDERS = 120;
const CONCURRENCY = 20;
const CALLS_PER_ROUND = 40;
const WARM_UP = 60;
const IDLE_MS = 3_000;
/** The number of orders that are in progress when their process is killed. */
const IN_PROGRESS_ORDERS = 10;
/** The orders while the process is killed several times. The card of every tenth order is declined. */
const ORDERS_WITH_KILLS = 100;
const KILLS = 3;

type Engines = Record<string, OrderEngine>;

/** Compares the order of this project with the same order on other engines. All engines run on the same machine. */
export async function benchPeers({ scale }: SampleScale): Promise<Comparison[]> {
  await installPeers();
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' });
  const stops = [() => stack.stop()];
  try {
    const { ownerDatabaseUrl } = stack.addresses;
    await addBenchProduct(ownerDatabaseUrl);
    const engines: Engines = {};
    const add = (name: string, engine: OrderEngine): void => {
      engines[name] = engine;
      stops.unshift(() => engine.stop());
    };
    add('Temporal, this project', await startTemporalEngine(stack));
    for (const [name, title] of Object.entries(PEERS)) add(title, await startPeer(name as PeerName, ownerDatabaseUrl));
    return [
      ...(await compareThroughput(scale, engines)),
      ...(await compareRecovery(scale, engines)),
      ...(await compareOutcomesWithKills(scale, engines)),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

async function compareThroughput(scale: SampleScale['scale'], engines: Engines): Promise<Comparison[]> {
  const idle = await idleCpuPerSecond();
  const cpuSeconds = { machine: () => machineCpuSeconds() - (idle * performance.now()) / 1000 };
  const { perSecond, cpuMs } = await measureOrderRate(
    { rounds: scale(ROUNDS), orders: scale(ORDERS), concurrency: CONCURRENCY, warmUp: scale(WARM_UP) },
    Object.fromEntries(
      Object.entries(engines).map(([name, engine]) => [name, { run: () => complete(engine), cpuSeconds }]),
    ),
  );
  const runs = Object.entries(engines).map(([name, engine]) => [name, () => complete(engine)] as const);
  const { p50, max } = await measureLatencies(
    { rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) },
    Object.fromEntries(runs),
  );
  const calls = { unit: 'ms', better: 'less', sampleCount: scale(CALLS_PER_ROUND) } as const;
  const orders = { sampleCount: scale(ORDERS) };
  return [
    ...compareWithFirst(perSecond, { what: 'orders', unit: 'per second', better: 'more', ...orders }),
    ...compareWithFirst(p50, { what: 'p50, one client', ...calls }),
    ...compareWithFirst(max, { what: `slowest of ${scale(CALLS_PER_ROUND)}, one client`, ...calls }),
    ...compareWithFirst(cpuMs['machine']!, {
      what: 'CPU time of all processes',
      unit: 'ms',
      better: 'less',
      ...orders,
    }),
  ];
}

/** The processor seconds per second that the machine uses while no order is in progress. */
async function idleCpuPerSecond(): Promise<number> {
  const [used, at] = [machineCpuSeconds(), performance.now()];
  await delay(IDLE_MS);
  return ((machineCpuSeconds() - used) * 1000) / (performance.now() - at);
}

async function compareRecovery(scale: SampleScale['scale'], engines: Engines): Promise<Comparison[]> {
  const next: ValuesByVariant = {};
  const rest: ValuesByVariant = {};
  for (let round = 0; round < scale(ROUNDS); round += 1) {
    for (const [name, engine] of Object.entries(engines)) {
      const inProgress = Array.from({ length: IN_PROGRESS_ORDERS }, () => complete(engine));
      // When the first order completes, the others are in progress or have just completed.
      await Promise.race(inProgress);
      const killed = performance.now();
      const secondsSinceKill = (): number => (performance.now() - killed) / 1000;
      const restarted = engine.killAndRestart();
      await Promise.all([
        restarted.then(() => complete(engine)).then(() => addValue(next, name, secondsSinceKill())),
        Promise.all(inProgress).then(() => addValue(rest, name, secondsSinceKill())),
      ]);
    }
  }
  const since = { unit: 's', better: 'less', sampleCount: 1 } as const;
  return [
    ...compareWithFirst(next, { what: 'SIGKILL until the next order has completed', ...since }),
    ...compareWithFirst(rest, {
      what: `SIGKILL until the rest of ${IN_PROGRESS_ORDERS} orders has completed`,
      ...since,
    }),
  ];
}

/** Kills the process of each engine several times while orders run. Counts the right outcomes and the partner calls. */
async function compareOutcomesWithKills(scale: SampleScale['scale'], engines: Engines): Promise<Comparison[]> {
  const right: ValuesByVariant = {};
  const charges: ValuesByVariant = {};
  const count = scale(ORDERS_WITH_KILLS);
  for (const [name, engine] of Object.entries(engines)) {
    const orderIds = Array.from({ length: count }, () => randomUUID());
    const isDeclined = (index: number): boolean => index % 10 === 9;
    let started = 0;
    const outcomes = collectConcurrently(count, CONCURRENCY, async () => {
      const index = started++;
      const token = isDeclined(index) ? 'tok_declined' : 'tok_ok';
      const outcome = await engine.run({ orderId: orderIds[index]!, sku: BENCH_SKU, token });
      return outcome === (isDeclined(index) ? 'declined' : 'completed');
    });
    for (let kill = 0; kill < scale(KILLS); kill += 1) {
      await delay(500);
      await engine.killAndRestart();
    }
    addValue(right, name, (await outcomes).filter(Boolean).length);
    addValue(charges, name, (await countChargeCalls(engine, new Set(orderIds))) / count);
  }
  const orders = { sampleCount: count } as const;
  return [
    ...compareWithFirst(right, {
      what: `right outcomes of ${count} orders`,
      unit: 'orders',
      better: 'more',
      ...orders,
    }),
    ...compareWithFirst(charges, { what: 'charge calls per order', unit: 'calls', better: 'less', ...orders }),
  ];
}

const ledger = z.object({
  requests: z.array(z.object({ method: z.string(), path: z.string(), orderId: z.string().nullable() })),
});

async function countChargeCalls({ fakesUrl }: OrderEngine, orderIds: ReadonlySet<string>): Promise<number> {
  const { requests } = ledger.parse(await (await fetch(`${fakesUrl}/test/ledger`)).json());
  const isCharge = ({ method, path, orderId }: (typeof requests)[number]): boolean =>
    method === 'POST' && path.endsWith('/charges') && orderIds.has(orderId ?? '');
  return requests.filter(isCharge).length;
}

async function complete(engine: OrderEngine): Promise<void> {
  const orderId = randomUUID();
  const outcome = await engine.run({ orderId, sku: BENCH_SKU, token: 'tok_ok' });
  if (outcome !== 'completed') throw new Error(`order ${orderId} must complete, but ended as ${outcome}`);
}
