import { Client } from '@temporalio/client';
import type { Duration } from '@temporalio/common';
import { openConnection } from '../../../src/temporal/connections.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { Stack } from '../../stack/stack.js';
import { buildSources } from '../../source-build/source-build.js';
import { startExtraWorker } from '../measure/extra-process.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, addBenchProduct } from '../load/orders.js';

const ROUNDS = 5;
/** The number of orders that are in progress when their worker is killed. */
const IN_PROGRESS_ORDERS = 10;

/**
 * Measures the time until a new worker polls, and the time from a SIGKILL until orders complete again on another
 * worker.
 */
export async function benchStart({ scale }: SampleScale): Promise<Comparison[]> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const { workflowBundle } = await buildSources();
    const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' });
    stops.unshift(() => stack.stop());
    const connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
    stops.unshift(() => connection.close());
    await addBenchProduct(stack.addresses.ownerDatabaseUrl);
    // Stops the worker of the stack, because the stack would restart it. From here on, only this bench starts workers.
    await stack.processes.get('worker')!.stop();

    const starts: ValuesByVariant = {};
    const recoveries: ValuesByVariant = {};
    const timeouts: ValuesByVariant = {};
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      const unbundled = await measureSeconds(() => startExtraWorker(stack));
      addValue(starts, 'bundling at startup', unbundled.seconds);
      await unbundled.result.process.stop();
      const { started, next, all } = await measureRecovery(stack, new Client({ connection }), {
        env: { WORKFLOW_BUNDLE: workflowBundle },
      });
      addValue(starts, 'with a prebuilt bundle', started);
      addValue(recoveries, 'start of a worker', started);
      addValue(recoveries, 'SIGKILL until the next order has completed', next);
      addValue(recoveries, `SIGKILL until the rest of ${IN_PROGRESS_ORDERS} orders has completed`, all);
      const withDefault = await measureRecovery(stack, new Client({ connection }), {
        env: { WORKFLOW_BUNDLE: workflowBundle },
        workflowTaskTimeout: '10 seconds',
      });
      addValue(timeouts, 'workflow task timeout of 10 s', withDefault.next);
      addValue(timeouts, 'workflow task timeout of 5 s', next);
    }
    return [
      ...compareWithFirst(starts, { what: 'worker', unit: 's', better: 'less', sampleCount: 1 }),
      ...compareWithFirst(recoveries, { what: 'recovery', unit: 's', better: 'less', sampleCount: 1 }),
      ...compareWithFirst(timeouts, {
        what: 'SIGKILL until the next order has completed',
        unit: 's',
        better: 'less',
        sampleCount: 1,
      }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

interface RecoveryOptions {
  /** The environment of the workers. */
  env: Record<string, string>;
  /** Default: the timeout of the shop. */
  workflowTaskTimeout?: Duration;
}

/** Kills a busy worker and starts another one at once, as a supervisor does. Returns the measured times in seconds. */
async function measureRecovery(stack: Stack, client: Client, { env, ...options }: RecoveryOptions) {
  const { seconds: started, result: first } = await measureSeconds(() => startExtraWorker(stack, env));
  await completeOrderByClient(client);
  const inProgress = Array.from({ length: IN_PROGRESS_ORDERS }, () => completeOrderByClient(client, options));
  // When the first order completes, the others are in progress or have just completed.
  await Promise.race(inProgress);
  first.process.kill('SIGKILL');
  const second = startExtraWorker(stack, env);
  try {
    const [next, all] = await Promise.all([
      measureSeconds(() => completeOrderByClient(client, options)),
      measureSeconds(() => Promise.all(inProgress)),
    ]);
    return { started, next: next.seconds, all: all.seconds };
  } finally {
    await (await second).process.stop();
  }
}

async function measureSeconds<T>(run: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const started = performance.now();
  const result = await run();
  return { seconds: (performance.now() - started) / 1000, result };
}
