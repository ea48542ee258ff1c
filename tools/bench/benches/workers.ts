import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openConnection } from '../../../src/temporal/connections.js';
import { createReporter } from '../../terminal/reporter.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { Stack } from '../../stack/stack.js';
import { startTemporaryCluster, type TemporaryCluster } from '../../servers/temporal/temporary-cluster.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, addBenchProduct } from '../load/orders.js';
import { machineCpuSeconds, readCpuSeconds } from '../measure/cpu-time.js';
import { collectConcurrently } from '../measure/sampling.js';

const WORKER_COUNTS = [1, 2, 4];
const ROUNDS = 3;
const WARM_UP = 30;
const CONCURRENCY = 40;

/** A kind of load, which determines the bottleneck. */
interface LoadKind {
  name: string;
  orders: number;
  /** How long the payment gateway takes for a charge. */
  gatewayMs: number;
  maxConcurrentActivities?: string;
}

const LOAD_KINDS: LoadKind[] = [
  { name: 'fast gateway', orders: 80, gatewayMs: 0 },
  { name: 'slow gateway', orders: 40, gatewayMs: 500, maxConcurrentActivities: '2' },
];

/** A stack with the given number of worker processes. It has its own namespace and database. */
interface Fleet {
  workers: number;
  stack: Stack;
  client: Client;
}

/**
 * Measures completed orders per second with 1, 2 and 4 worker processes on the full server with PostgreSQL, and the
 * processor time of each component. Linux only.
 */
export async function benchWorkers({ scale }: SampleScale): Promise<Comparison[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const bundle = join(folder, 'workflow-bundle.js');
    await writeFile(bundle, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
    const cluster = await startTemporaryCluster(createReporter(), { durable: true });
    stops.unshift(() => cluster.stop());
    const figures: Comparison[] = [];
    for (const kind of LOAD_KINDS) figures.push(...(await compareFleets(cluster, kind, bundle, scale)));
    return figures;
  } finally {
    for (const stop of stops) await stop();
  }
}

async function compareFleets(
  cluster: TemporaryCluster,
  { name, ...kind }: LoadKind,
  bundle: string,
  scale: SampleScale['scale'],
): Promise<Comparison[]> {
  const connection = await openConnection({ TEMPORAL_ADDRESS: cluster.sharedServers.address });
  const orders = scale(kind.orders);
  const fleets: Fleet[] = [];
  try {
    // All fleets run the whole time, but only one gets orders at a time. Therefore drift affects all of them equally,
    // and none has a cold start.
    for (const workers of WORKER_COUNTS) fleets.push(await openFleet(cluster, connection, kind, workers, bundle));
    const completeOrders = ({ client }: Fleet, count: number) =>
      collectConcurrently(count, CONCURRENCY, () => completeOrderByClient(client));
    for (const fleet of fleets) await completeOrders(fleet, scale(WARM_UP));
    const perSecond: ValuesByVariant = {};
    const busy: ValuesByVariant = {};
    const costs: Record<string, ValuesByVariant> = {};
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const fleet of fleets) {
        const name = `${fleet.workers} worker${fleet.workers > 1 ? 's' : ''}`;
        const before = {
          used: await cpuSecondsByComponent(cluster, fleet),
          machine: machineCpuSeconds(),
          at: performance.now(),
        };
        await completeOrders(fleet, orders);
        const seconds = (performance.now() - before.at) / 1000;
        addValue(perSecond, name, orders / seconds);
        addValue(busy, name, (100 * (machineCpuSeconds() - before.machine)) / seconds / cpus().length);
        for (const [component, used] of Object.entries(await cpuSecondsByComponent(cluster, fleet)))
          addValue((costs[component] ??= {}), name, ((used - before.used[component]!) * 1000) / orders);
      }
    }
    const figures = (measured: ValuesByVariant, metric: string, unit: string, better: Comparison['better']) =>
      compareWithFirst(measured, { what: `${name}, ${metric}`, unit, better, sampleCount: orders });
    return [
      ...figures(perSecond, 'orders per second', 'per second', 'more'),
      ...figures(busy, 'CPU usage', '%', 'less'),
      ...Object.entries(costs).flatMap(([component, cost]) =>
        figures(cost, `CPU time per order, ${component}`, 'ms', 'less'),
      ),
    ];
  } finally {
    for (const { stack } of fleets) await stack.stop();
    await connection.close();
  }
}

async function openFleet(
  { sharedServers }: TemporaryCluster,
  connection: Connection,
  { gatewayMs, maxConcurrentActivities }: Omit<LoadKind, 'name'>,
  workers: number,
  bundle: string,
): Promise<Fleet> {
  const stack = await startTemporaryStack(
    {
      sharedServers,
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      applicationEnv: {
        WORKFLOW_BUNDLE: bundle,
        ...(maxConcurrentActivities && { WORKER_MAX_CONCURRENT_ACTIVITIES: maxConcurrentActivities }),
      },
    },
    { workerCount: workers, apiCount: 1 },
  );
  const { ownerDatabaseUrl, paymentsUrl, temporalNamespace: namespace } = stack.addresses;
  await addBenchProduct(ownerDatabaseUrl);
  if (gatewayMs > 0) {
    const response = await fetch(new URL('/test/faults', paymentsUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ on: 'charge', fault: 'slow', delayMs: gatewayMs, times: -1 }),
    });
    if (!response.ok) throw new Error(`the fake payment gateway returned ${response.status} for the fault`);
  }
  return { workers, stack, client: new Client({ connection, namespace }) };
}

/** Returns the processor seconds that each component has used since its start. */
async function cpuSecondsByComponent({ pids }: TemporaryCluster, { stack }: Fleet): Promise<Record<string, number>> {
  const parts = [...stack.processes];
  const ofParts = async (kind: string) => {
    const found = parts.filter(([name]) => name === kind || name.startsWith(`${kind}-`));
    const used = await Promise.all(found.map(([, part]) => readCpuSeconds(part.current.pid)));
    return used.reduce((sum, each) => sum + each, 0);
  };
  return {
    Temporal: await readCpuSeconds(pids.temporal),
    PostgreSQL: await readCpuSeconds(pids.postgres, { family: true }),
    workers: await ofParts('worker'),
    API: await ofParts('api'),
    fakes: await ofParts('fakes'),
  };
}
