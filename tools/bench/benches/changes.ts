import { join, resolve } from 'node:path';
import { Client } from '@temporalio/client';
import { z } from 'zod';
import { openConnection } from '../../../src/temporal/connections.js';
import { startProcess } from '../../processes/processes.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { projectRoot } from '../../settings/environment.js';
import type { Change, SampleScale } from '../bench.js';
import { completeOrderByClient } from '../load/orders.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { readCpuSeconds } from '../measure/cpu-time.js';
import { collectConcurrently, measureLatencies } from '../measure/sampling.js';

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
    const perSecond: ValuesByVariant = {};
    const workerMs: ValuesByVariant = {};
    const apiMs: ValuesByVariant = {};
    for (const { completeOrder } of Object.values(variants))
      await collectConcurrently(scale(WARM_UP), CONCURRENCY, completeOrder);
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const [variant, { completeOrder, workerPid, apiPid }] of Object.entries(variants)) {
        const before = {
          worker: await readCpuSeconds(workerPid),
          api: await readCpuSeconds(apiPid),
          at: performance.now(),
        };
        await collectConcurrently(scale(ORDERS), CONCURRENCY, completeOrder);
        addValue(perSecond, variant, (scale(ORDERS) * 1000) / (performance.now() - before.at));
        addValue(workerMs, variant, (((await readCpuSeconds(workerPid)) - before.worker) * 1000) / scale(ORDERS));
        addValue(apiMs, variant, (((await readCpuSeconds(apiPid)) - before.api) * 1000) / scale(ORDERS));
      }
    }
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
      ...compare(workerMs, { what: 'worker CPU time', ...ofOrders }),
      ...compare(apiMs, { what: 'API CPU time', ...ofOrders }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

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
