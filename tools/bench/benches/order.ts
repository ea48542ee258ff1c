import { Client, Connection } from '@temporalio/client';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { startNoopWorker } from '../programs/noop.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, completeOrderByHttp, addBenchProduct } from '../load/orders.js';
import { readCpuSeconds } from '../measure/cpu-time.js';
import { runConcurrently, measureLatencies } from '../measure/sampling.js';

const ROUNDS = 5;
const ORDERS = 120;
const CONCURRENCY = 20;
const CALLS_PER_ROUND = 40;
const WARM_UP = 60;

/** A measured variant, and the worker that executes it. */
interface MeasuredVariant {
  name: string;
  workerPid: number;
  run: () => Promise<unknown>;
}

/** The complete saga against three activities that do nothing, on one server and with the same settings. Linux only. */
export async function benchOrder({ scale }: SampleScale): Promise<Comparison[]> {
  const stack = await startTemporaryStack(
    { carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' },
    { metrics: false },
  );
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const stops = [() => stack.stop()];
  try {
    const bare = await startNoopWorker(temporalAddress);
    stops.unshift(() => bare.stop());
    const connection = await Connection.connect({ address: temporalAddress });
    stops.unshift(() => connection.close());
    const client = new Client({ connection });
    await addBenchProduct(ownerDatabaseUrl);
    const shop = stack.processes.get('worker')!.current.pid;
    return await compareVariants(scale, [
      {
        name: 'bare workflow, 3 regular activities',
        workerPid: bare.workerPid,
        run: () => bare.run('threeActivities'),
      },
      {
        name: 'bare workflow, 3 local activities',
        workerPid: bare.workerPid,
        run: () => bare.run('threeLocalActivities'),
      },
      { name: 'order, with the SDK client', workerPid: shop, run: () => completeOrderByClient(client) },
      { name: 'order, over HTTP', workerPid: shop, run: () => completeOrderByHttp(apiUrl, client) },
    ]);
  } finally {
    for (const stop of stops) await stop();
  }
}

async function compareVariants(take: SampleScale['scale'], contenders: MeasuredVariant[]): Promise<Comparison[]> {
  const perSecond: ValuesByVariant = {};
  const processor: ValuesByVariant = {};
  for (const { run } of contenders) await runConcurrently(take(WARM_UP), CONCURRENCY, run);
  for (let round = 0; round < take(ROUNDS); round += 1) {
    for (const { name, workerPid, run } of contenders) {
      const before = { used: await readCpuSeconds(workerPid), at: performance.now() };
      await runConcurrently(take(ORDERS), CONCURRENCY, run);
      addValue(perSecond, name, (take(ORDERS) * 1000) / (performance.now() - before.at));
      const used = (await readCpuSeconds(workerPid)) - before.used;
      addValue(processor, name, (used * 1000) / take(ORDERS));
    }
  }
  const felt = await measureLatencies(
    { rounds: take(ROUNDS), calls: take(CALLS_PER_ROUND) },
    Object.fromEntries(contenders.map(({ name, run }) => [name, run])),
  );

  const calls = { unit: 'ms', better: 'less', sampleCount: take(CALLS_PER_ROUND) } as const;
  return [
    ...compareWithFirst(perSecond, { what: 'rate', unit: 'per second', better: 'more', sampleCount: take(ORDERS) }),
    ...compareWithFirst(felt.p50, { what: 'p50, one client', ...calls }),
    ...compareWithFirst(felt.max, { what: `slowest of ${take(CALLS_PER_ROUND)}, one client`, ...calls }),
    ...compareWithFirst(processor, {
      what: 'worker CPU time',
      unit: 'ms',
      better: 'less',
      sampleCount: take(ORDERS),
    }),
  ];
}
