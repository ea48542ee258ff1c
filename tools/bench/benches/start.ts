import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { startTemporaryStack, type Stack } from '../../stack/stack.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import { startAnotherWorker } from '../measure/another-process.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByClient, stockUp } from './orders.js';

const ROUNDS = 5;
/** Number of orders that are in progress, each at another step, when their worker is killed. */
const UNDER_WAY = 10;

/**
 * The time until a new worker polls, and the time from a SIGKILL until orders complete again with a replacement worker.
 */
export async function benchStart({ take }: Effort): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-start-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const bundle = join(folder, 'workflow-bundle.js');
    await writeFile(bundle, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
    const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' });
    stops.unshift(() => stack.stop());
    const connection = await Connection.connect({ address: stack.addresses.temporalAddress });
    stops.unshift(() => connection.close());
    await stockUp(stack.addresses.ownerDatabaseUrl);
    // From here on, only this bench starts workers: the stack would restart its own.
    await stack.parts.get('worker')!.stop();

    const starts: Measured = {};
    const recoveries: Measured = {};
    for (let round = 0; round < take(ROUNDS); round += 1) {
      const unbundled = await timed(() => startAnotherWorker(stack));
      note(starts, 'bundling at the start', unbundled.seconds);
      await unbundled.result.process.stop();
      const { started, next, all } = await recover(stack, new Client({ connection }), { WORKFLOW_BUNDLE: bundle });
      note(starts, 'with a prebuilt bundle', started);
      note(recoveries, 'start of a worker', started);
      note(recoveries, 'SIGKILL until the next order has completed', next);
      note(recoveries, `SIGKILL until the rest of ${UNDER_WAY} orders has completed`, all);
    }
    return [
      ...besideFirst(starts, { what: 'worker', unit: 's', better: 'less', of: 1 }),
      ...besideFirst(recoveries, { what: 'recovery', unit: 's', better: 'less', of: 1 }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

/** Kills a busy worker and starts another one at once, as a supervisor would. Times are in seconds. */
async function recover(stack: Stack, client: Client, env: Record<string, string>) {
  const { seconds: started, result: first } = await timed(() => startAnotherWorker(stack, env));
  await sellByClient(client);
  const underWay = Array.from({ length: UNDER_WAY }, () => sellByClient(client));
  // When the first order completes, the others are in progress or just completed.
  await Promise.race(underWay);
  first.process.kill('SIGKILL');
  const second = startAnotherWorker(stack, env);
  try {
    const [next, all] = await Promise.all([timed(() => sellByClient(client)), timed(() => Promise.all(underWay))]);
    return { started, next: next.seconds, all: all.seconds };
  } finally {
    await (await second).process.stop();
  }
}

async function timed<T>(run: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const started = performance.now();
  const result = await run();
  return { seconds: (performance.now() - started) / 1000, result };
}
