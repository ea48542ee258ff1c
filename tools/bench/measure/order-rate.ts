import { addValue, type ValuesByVariant } from './comparison.js';
import { collectConcurrently } from './sampling.js';

export interface OrderVariant {
  /** Runs an order to its end. */
  run: () => Promise<unknown>;
  /** Reads the processor seconds of the processes that are measured, by their names. */
  cpuSeconds: Record<string, () => number | Promise<number>>;
}

/**
 * Runs `orders` orders of each variant in each round, `concurrency` at a time, after a warm-up. Returns the orders per
 * second, and the processor milliseconds per order by the names in `cpuSeconds`.
 */
export async function measureOrderRate(
  { rounds, orders, concurrency, warmUp }: Record<'rounds' | 'orders' | 'concurrency' | 'warmUp', number>,
  variants: Record<string, OrderVariant>,
): Promise<{ perSecond: ValuesByVariant; cpuMs: Record<string, ValuesByVariant> }> {
  const perSecond: ValuesByVariant = {};
  const cpuMs: Record<string, ValuesByVariant> = {};
  for (const { run } of Object.values(variants)) await collectConcurrently(warmUp, concurrency, run);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, { run, cpuSeconds }] of Object.entries(variants)) {
      const before = await readAll(cpuSeconds);
      const started = performance.now();
      await collectConcurrently(orders, concurrency, run);
      addValue(perSecond, name, (orders * 1000) / (performance.now() - started));
      const after = await readAll(cpuSeconds);
      for (const [part, used] of Object.entries(after))
        addValue((cpuMs[part] ??= {}), name, ((used - before[part]!) * 1000) / orders);
    }
  }
  return { perSecond, cpuMs };
}

async function readAll(readers: OrderVariant['cpuSeconds']): Promise<Record<string, number>> {
  const read = async ([part, reader]: [string, () => number | Promise<number>]) => [part, await reader()] as const;
  return Object.fromEntries(await Promise.all(Object.entries(readers).map(read)));
}
