import { join, resolve } from 'node:path';
import { Client } from '@temporalio/client';
import { z } from 'zod';
import { openConnection } from '../../../src/temporal/connections.js';
import { startProcess } from '../../processes/processes.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { projectRoot } from '../../settings/environment.js';
import type { Change, SampleScale } from '../bench.js';
import { completeOrderByClient } from '../load/orders.js';
import { compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { readCpuSeconds } from '../measure/cpu-time.js';
import { measureOrderRate, type OrderVariant } from '../measure/order-rate.js';
import { measureLatencies } from '../measure/sampling.js';

const ROUNDS = 7;
const ORDERS = 120;
const CONCURRENCY = 20;
const CALLS_PER_ROUND = 40;
const WARM_UP = 120;

const stackLine = z.object({ temporalAddress: z.string(), workerPid: z.number(), apiPid: z.number() });

/**
 * Compares the orders of this checkout with the orders of another one. Both stacks run all the time, and get orders in
 * alternating rounds. Linux only.
 */
export async function benchChange({ scale }: SampleScale, { name, against }: Change): Promise<Comparison[]> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const variants = { without: await startOrderStack(resolve(against)), with: await startOrderStack(projectRoot) };
    for (const { stop } of Object.values(variants)) stops.unshift(stop);
    const { perSecond, cpuMs } = await measureOrderRate(
      { rounds: scale(ROUNDS), orders: scale(ORDERS), concurrency: CONCURRENCY, warmUp: scale(WARM_UP) },
      { without: toOrderVariant(variants.without), with: toOrderVariant(variants.with) },
    );
    const { p50 } = await measureLatencies(
      { rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) },
      { without: variants.without.completeOrder, with: variants.with.completeOrder },
    );
    const compare = (measured: ValuesByVariant, { what, ...rest }: Parameters<typeof compareWithFirst>[1]) =>
      compareWithFirst(
        { 'without the change': measured['without']!, 'with the change': measured['with']! },
        { what: `${name}, ${what}`, ...rest },
      );
    const ofOrders = { better: 'less', unit: 'ms', sampleCount: scale(ORDERS) } as const;
    return [
      ...compare(perSecond, { what: 'rate', ...ofOrders, unit: 'per second', better: 'more' }),
      ...compare(p50, { what: 'p50, one client', ...ofOrders, sampleCount: scale(CALLS_PER_ROUND) }),
      ...compare(cpuMs['worker']!, { what: 'worker CPU time', ...ofOrders }),
      ...compare(cpuMs['api']!, { what: 'API CPU time', ...ofOrders }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

const toOrderVariant = ({ completeOrder, workerPid, apiPid }: OrderStack): OrderVariant => ({
  run: completeOrder,
  cpuSeconds: { worker: () => readCpuSeconds(workerPid), api: () => readCpuSeconds(apiPid) },
});

type OrderStack = Awaited<ReturnType<typeof startOrderStack>>;

/** Starts the stack of a checkout in a process of its own. */
async function startOrderStack(folder: string) {
  let printed: z.infer<typeof stackLine> | undefined;
  const stack = await startProcess({
    name: `stack of ${folder}`,
    command: process.execPath,
    args: [join(folder, 'tools/run.mjs'), 'tools/bench/programs/order-stack.ts'],
    cwd: folder,
    graceMs: 60_000,
    onLine: (line) => {
      if (line.startsWith('{"temporalAddress"')) printed = stackLine.parse(JSON.parse(line));
    },
  });
  try {
    const found = await waitUntilReady(stack, () => printed, {
      description: `the stack of ${folder}`,
      timeoutMs: 120_000,
    });
    const connection = await openConnection({ TEMPORAL_ADDRESS: found.temporalAddress });
    const client = new Client({ connection });
    return {
      ...found,
      completeOrder: () => completeOrderByClient(client),
      async stop() {
        await connection.close();
        await stack.stop();
      },
    };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}
