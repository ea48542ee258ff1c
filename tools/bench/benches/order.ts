import { withOrderServers } from '../programs/order-servers.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, completeOrderByHttp } from '../load/orders.js';
import { readCpuSeconds } from '../measure/cpu-time.js';
import { measureOrderRate } from '../measure/order-rate.js';
import { measureLatencies } from '../measure/sampling.js';

const ROUNDS = 5;
const ORDERS = 120;
const CONCURRENCY = 20;
const CALLS_PER_ROUND = 40;
const WARM_UP = 60;

/** A measured variant, with the worker that runs it. */
interface MeasuredVariant {
  name: string;
  workerPid: number;
  run: () => Promise<unknown>;
}

const THREE_ACTIVITIES = '3 no-op activities';
const SKELETON = 'order skeleton';
const BY_CLIENT = 'order, with the SDK client';
const BY_HTTP = 'order, over HTTP';

/**
 * Compares the complete saga with three activities that do nothing, and with a workflow that has the events of an order
 * but not its work. Both run on the same server with the same settings. Linux only.
 */
export async function benchOrder({ scale }: SampleScale): Promise<Comparison[]> {
  return await withOrderServers(
    { settings: { logLevel: 'warn' }, options: { metrics: false } },
    async ({ stack, apiUrl, client, noopWorker }) => {
      const shop = stack.processes.get('worker')!.current.pid;
      return await compareVariants(scale, [
        {
          name: THREE_ACTIVITIES,
          workerPid: noopWorker.workerPid,
          run: () => noopWorker.run('threeActivities'),
        },
        {
          name: '3 no-op local activities',
          workerPid: noopWorker.workerPid,
          run: () => noopWorker.run('threeLocalActivities'),
        },
        { name: SKELETON, workerPid: noopWorker.workerPid, run: () => noopWorker.run('orderSkeleton') },
        { name: BY_CLIENT, workerPid: shop, run: () => completeOrderByClient(client) },
        { name: BY_HTTP, workerPid: shop, run: () => completeOrderByHttp(apiUrl, client) },
      ]);
    },
  );
}

async function compareVariants(scale: SampleScale['scale'], variants: MeasuredVariant[]): Promise<Comparison[]> {
  const { perSecond, cpuMs } = await measureOrderRate(
    { rounds: scale(ROUNDS), orders: scale(ORDERS), concurrency: CONCURRENCY, warmUp: scale(WARM_UP) },
    Object.fromEntries(
      variants.map(({ name, workerPid, run }) => [
        name,
        { run, cpuSeconds: { worker: () => readCpuSeconds(workerPid) } },
      ]),
    ),
  );
  const latencies = await measureLatencies(
    { rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) },
    Object.fromEntries(variants.map(({ name, run }) => [name, run])),
  );

  const calls = { unit: 'ms', better: 'less', sampleCount: scale(CALLS_PER_ROUND) } as const;
  return [
    ...compareWithBaselines(perSecond, {
      what: 'rate',
      unit: 'per second',
      better: 'more',
      sampleCount: scale(ORDERS),
    }),
    ...compareWithBaselines(latencies.p50, { what: 'p50, one client', ...calls }),
    ...compareWithBaselines(latencies.max, { what: `slowest of ${scale(CALLS_PER_ROUND)}, one client`, ...calls }),
    ...compareWithBaselines(cpuMs['worker']!, {
      what: 'worker CPU time',
      unit: 'ms',
      better: 'less',
      sampleCount: scale(ORDERS),
    }),
  ];
}

/**
 * Compares all variants with the three activities (the cost of the pattern), the orders with the skeleton (the cost of
 * this project), and HTTP with the client (the cost of the API).
 */
function compareWithBaselines(
  measured: ValuesByVariant,
  { what, ...rest }: Parameters<typeof compareWithFirst>[1],
): Comparison[] {
  const pick = (...names: string[]) => Object.fromEntries(names.map((name) => [name, measured[name]!]));
  return [
    ...compareWithFirst(measured, { what, ...rest }),
    ...compareWithFirst(pick(SKELETON, BY_CLIENT, BY_HTTP), { what: `${what}, against the skeleton`, ...rest }),
    ...compareWithFirst(pick(BY_CLIENT, BY_HTTP), { what: `${what}, against the SDK client`, ...rest }),
  ];
}
