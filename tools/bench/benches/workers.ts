import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { streamReport } from '../../terminal/report.js';
import { startTemporaryStack, type Stack } from '../../stack/stack.js';
import { startTemporaryCluster, type TemporaryCluster } from '../../servers/temporal/temporary-cluster.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByClient, stockUp } from './orders.js';
import { machineSeconds, processorSeconds } from '../measure/processor-time.js';
import { inParallel } from '../measure/sample.js';

const FLEETS = [1, 2, 4];
const ROUNDS = 3;
const WARM_UP = 30;
const AT_ONCE = 40;

/** The kind of load: what limits the throughput of its orders. */
interface Kind {
  what: string;
  orders: number;
  /** How long the payment gateway takes to respond to a charge. */
  gatewayMs: number;
  activitiesAtOnce?: string;
}

const KINDS: Kind[] = [
  { what: 'gateway at once', orders: 80, gatewayMs: 0 },
  { what: 'gateway slow', orders: 40, gatewayMs: 500, activitiesAtOnce: '2' },
];

/** One stack with the given number of worker processes, and its own namespace and database. */
interface Fleet {
  workers: number;
  stack: Stack;
  client: Client;
}

/**
 * Orders per second, from their start to `completed`, with 1, 2 and 4 worker processes on the full server with
 * PostgreSQL, and the processor time of each component. Linux only.
 */
export async function benchWorkers({ take }: Effort): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const bundle = join(folder, 'workflow-bundle.js');
    await writeFile(bundle, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
    const cluster = await startTemporaryCluster(streamReport(), { durable: true });
    stops.unshift(() => cluster.stop());
    const figures: Figure[] = [];
    for (const kind of KINDS) figures.push(...(await compare(cluster, kind, bundle, take)));
    return figures;
  } finally {
    for (const stop of stops) await stop();
  }
}

async function compare(
  cluster: TemporaryCluster,
  { what, ...kind }: Kind,
  bundle: string,
  take: Effort['take'],
): Promise<Figure[]> {
  const connection = await Connection.connect({ address: cluster.cluster.address });
  const orders = take(kind.orders);
  const fleets: Fleet[] = [];
  try {
    // All fleets run the whole time, and only one is busy at a time. So drift affects all of them equally and none has
    // a cold start.
    for (const workers of FLEETS) fleets.push(await openFleet(cluster, connection, kind, workers, bundle));
    const sell = ({ client }: Fleet, count: number) => inParallel(count, AT_ONCE, () => sellByClient(client));
    for (const fleet of fleets) await sell(fleet, take(WARM_UP));
    const perSecond: Measured = {};
    const busy: Measured = {};
    const costs: Record<string, Measured> = {};
    for (let round = 0; round < take(ROUNDS); round += 1) {
      for (const fleet of fleets) {
        const name = `${fleet.workers} worker${fleet.workers > 1 ? 's' : ''}`;
        const before = { used: await usedBy(cluster, fleet), machine: machineSeconds(), at: performance.now() };
        await sell(fleet, orders);
        const seconds = (performance.now() - before.at) / 1000;
        note(perSecond, name, orders / seconds);
        note(busy, name, (100 * (machineSeconds() - before.machine)) / seconds / cpus().length);
        for (const [who, used] of Object.entries(await usedBy(cluster, fleet)))
          note((costs[who] ??= {}), name, ((used - before.used[who]!) * 1000) / orders);
      }
    }
    const figures = (measured: Measured, about: string, unit: string, better: Figure['better']) =>
      besideFirst(measured, { what: `${what}, ${about}`, unit, better, of: orders });
    return [
      ...figures(perSecond, 'orders a second', 'a second', 'more'),
      ...figures(busy, 'processors in use', '%', 'less'),
      ...Object.entries(costs).flatMap(([who, cost]) => figures(cost, `an order's processor, ${who}`, 'ms', 'less')),
    ];
  } finally {
    for (const { stack } of fleets) await stack.stop();
    await connection.close();
  }
}

async function openFleet(
  { cluster }: TemporaryCluster,
  connection: Connection,
  { gatewayMs, activitiesAtOnce }: Omit<Kind, 'what'>,
  workers: number,
  bundle: string,
): Promise<Fleet> {
  const stack = await startTemporaryStack(
    {
      cluster,
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      application: {
        WORKFLOW_BUNDLE: bundle,
        ...(activitiesAtOnce && { WORKER_ACTIVITIES_AT_ONCE: activitiesAtOnce }),
      },
    },
    { workers, apis: 1 },
  );
  const { ownerDatabaseUrl, paymentsUrl, temporalNamespace: namespace } = stack.addresses;
  await stockUp(ownerDatabaseUrl);
  if (gatewayMs > 0) {
    const answer = await fetch(new URL('/test/faults', paymentsUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ on: 'charge', fault: 'slow', delayMs: gatewayMs, times: -1 }),
    });
    if (!answer.ok) throw new Error(`the payment gateway does not get slow: ${answer.status}`);
  }
  return { workers, stack, client: new Client({ connection, namespace }) };
}

/** Processor seconds used so far, by component. */
async function usedBy({ pids }: TemporaryCluster, { stack }: Fleet): Promise<Record<string, number>> {
  const parts = [...stack.parts];
  const ofParts = async (kind: string) => {
    const found = parts.filter(([name]) => name === kind || name.startsWith(`${kind}-`));
    const used = await Promise.all(found.map(([, part]) => processorSeconds(part.process.pid)));
    return used.reduce((sum, each) => sum + each, 0);
  };
  return {
    Temporal: await processorSeconds(pids.temporal),
    PostgreSQL: await processorSeconds(pids.postgres, { family: true }),
    workers: await ofParts('worker'),
    API: await ofParts('api'),
    'outside world': await ofParts('providers'),
  };
}
