import { Client, Connection } from '@temporalio/client';
import { startTemporaryStack } from '../../stack/stack.js';
import { startBare } from '../programs/bare.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByClient, sellByHttp, stockUp } from './orders.js';
import { processorSeconds } from '../measure/processor-time.js';
import { inParallel, latencies } from '../measure/sample.js';

const ROUNDS = 5;
const ORDERS = 120;
const AT_ONCE = 20;
const CALLS = 40;
const WARM_UP = 60;

/** A measured variant, and the worker that executes it. */
interface Contender {
  name: string;
  workerPid: number;
  run: () => Promise<unknown>;
}

/** The complete saga against three activities that do nothing, on one server and with the same settings. Linux only. */
export async function benchOrder({ take }: Effort): Promise<Figure[]> {
  const stack = await startTemporaryStack(
    { carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' },
    { metrics: false },
  );
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const stops = [() => stack.stop()];
  try {
    const bare = await startBare(temporalAddress);
    stops.unshift(() => bare.stop());
    const connection = await Connection.connect({ address: temporalAddress });
    stops.unshift(() => connection.close());
    const client = new Client({ connection });
    await stockUp(ownerDatabaseUrl);
    const shop = stack.parts.get('worker')!.process.pid;
    return await compare(take, [
      { name: 'bare workflow, 3 regular activities', workerPid: bare.pid, run: () => bare.run('threeActivities') },
      { name: 'bare workflow, 3 local activities', workerPid: bare.pid, run: () => bare.run('threeLocalActivities') },
      { name: 'order, by the client', workerPid: shop, run: () => sellByClient(client) },
      { name: 'order, through HTTP', workerPid: shop, run: () => sellByHttp(apiUrl, client) },
    ]);
  } finally {
    for (const stop of stops) await stop();
  }
}

async function compare(take: Effort['take'], contenders: Contender[]): Promise<Figure[]> {
  const perSecond: Measured = {};
  const processor: Measured = {};
  for (const { run } of contenders) await inParallel(take(WARM_UP), AT_ONCE, run);
  for (let round = 0; round < take(ROUNDS); round += 1) {
    for (const { name, workerPid, run } of contenders) {
      const before = { used: await processorSeconds(workerPid), at: performance.now() };
      await inParallel(take(ORDERS), AT_ONCE, run);
      note(perSecond, name, (take(ORDERS) * 1000) / (performance.now() - before.at));
      const used = (await processorSeconds(workerPid)) - before.used;
      note(processor, name, (used * 1000) / take(ORDERS));
    }
  }
  const felt = await latencies(
    { rounds: take(ROUNDS), calls: take(CALLS) },
    Object.fromEntries(contenders.map(({ name, run }) => [name, run])),
  );

  const calls = { unit: 'ms', better: 'less', of: take(CALLS) } as const;
  return [
    ...besideFirst(perSecond, { what: 'a second', unit: 'a second', better: 'more', of: take(ORDERS) }),
    ...besideFirst(felt.p50, { what: 'p50, one caller', ...calls }),
    ...besideFirst(felt.slowest, { what: `slowest of ${take(CALLS)}, one caller`, ...calls }),
    ...besideFirst(processor, { what: "worker's processor", unit: 'ms', better: 'less', of: take(ORDERS) }),
  ];
}
