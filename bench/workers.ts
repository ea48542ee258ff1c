import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { streamReport } from '../dev/report.js';
import { startTemporaryStack, type Stack } from '../dev/stack.js';
import { startTemporaryCluster, type TemporaryCluster } from '../dev/temporary-cluster.js';
import { bundleWorkflows } from '../src/temporal.js';
import { openStore } from '../src/store/index.js';
import { NEWEST_ORDER_WORKFLOW_TYPE, orderWorkflowId, ORDER_TASK_QUEUE } from '../src/workflows/order/contract.js';
import { machineSeconds, processorSeconds } from './processor-time.js';
import { percentile } from './sample.js';

const FLEETS = [1, 2, 4];
const ROUNDS = 3;
const AT_ONCE = 40;

/** What the orders of a run wait for. */
interface Kind {
  title: string;
  orders: number;
  /** Of the payment gateway, before it answers a charge. */
  gatewayMs: number;
  activitiesAtOnce?: string;
}

const KINDS: Kind[] = [
  { title: 'for the machine: the payment gateway answers at once', orders: 120, gatewayMs: 0 },
  {
    title: 'for the payment gateway: it takes 500 ms, and a worker calls it twice at a time',
    ...{ orders: 48, gatewayMs: 500, activitiesAtOnce: '2' },
  },
];

/** Everything of one run; each has as many worker processes as it says, and a namespace and a database of its own. */
interface Fleet {
  workers: number;
  stack: Stack;
  client: Client;
  /** Which product is sold. */
  sku: string;
}

interface Round {
  perSecond: number;
  /** Seconds of a processor for each order, by who used them. */
  cost: Record<string, number>;
  /** Of all processors, how much of them was in use, from 0 to 1. */
  busy: number;
}

/**
 * Orders a second, from their start to `completed`, with 1, 2 and 4 worker processes on the full server with PostgreSQL,
 * and who used the processors meanwhile. Linux only.
 */
export async function benchWorkers(): Promise<void> {
  const report = streamReport();
  const folder = await mkdtemp(join(tmpdir(), 'bench-workers-'));
  const bundle = join(folder, 'workflow-bundle.js');
  await writeFile(bundle, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
  const cluster = await startTemporaryCluster(report, { durable: true });
  try {
    for (const kind of KINDS) await compare(cluster, kind, bundle);
  } finally {
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(cluster: TemporaryCluster, kind: Kind, bundle: string): Promise<void> {
  const connection = await Connection.connect({ address: cluster.cluster.address });
  const fleets: Fleet[] = [];
  try {
    // All are there all the time, and idle but for one: what is compared in turn has the same drift, and no cold start.
    for (const workers of FLEETS) fleets.push(await openFleet(cluster, connection, kind, workers, bundle));
    const rounds = new Map<Fleet, Round[]>(fleets.map((fleet) => [fleet, []]));
    for (const fleet of fleets) await sell(fleet, kind.orders / 4);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const fleet of fleets) rounds.get(fleet)!.push(await measure(cluster, fleet, kind.orders));
    }

    console.log(
      `workers: orders a second that wait ${kind.title}\n` +
        `  ${kind.orders} orders, ${AT_ONCE} at a time, ${ROUNDS} rounds in turn, medians; ` +
        `${cpus().length} processors for everything, load of the machine ${loadavg()[0]!.toFixed(1)}`,
    );
    const base = middle(rounds.get(fleets[0]!)!.map(({ perSecond }) => perSecond));
    for (const [{ workers }, results] of rounds) {
      const perSecond = middle(results.map((result) => result.perSecond));
      const busy = middle(results.map((result) => result.busy));
      const name = `${workers} worker${workers > 1 ? 's' : ''}`;
      console.log(
        `  ${name.padEnd(10)} ${perSecond.toFixed(1).padStart(5)} orders/s   ratio ${(perSecond / base).toFixed(2)}   ` +
          `processors ${(busy * 100).toFixed(0)} % busy; an order costs ${costs(results)}`,
      );
    }
    console.log('');
  } finally {
    for (const { stack } of fleets) await stack.stop();
    await connection.close();
  }
}

async function openFleet(
  { cluster }: TemporaryCluster,
  connection: Connection,
  { gatewayMs, activitiesAtOnce }: Kind,
  workers: number,
  bundle: string,
): Promise<Fleet> {
  const stack = await startTemporaryStack(
    {
      cluster,
      ...{ carrierPickupSeconds: 0, carrierDeliverySeconds: 0 },
      application: {
        WORKFLOW_BUNDLE: bundle,
        ...(activitiesAtOnce && { WORKER_ACTIVITIES_AT_ONCE: activitiesAtOnce }),
      },
    },
    { workers, apis: 1 },
  );
  const { databaseUrl, paymentsUrl, temporalNamespace: namespace } = stack.addresses;
  const store = openStore({ databaseUrl, maxConnections: 1, onIdleError: () => undefined });
  const sku = 'BENCH';
  await store.addProducts([{ sku, name: 'A thing', price: { value: 100, currency: 'EUR' }, available: 1_000_000 }]);
  await store.close();
  if (gatewayMs > 0) {
    const answer = await fetch(new URL('/test/faults', paymentsUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ on: 'charge', fault: 'slow', delayMs: gatewayMs, times: -1 }),
    });
    if (!answer.ok) throw new Error(`the payment gateway does not get slow: ${answer.status}`);
  }
  return { workers, stack, client: new Client({ connection, namespace }), sku };
}

/** Starts orders and waits for their ends, some at a time. @throws when one does not complete. */
async function sell({ client, sku }: Fleet, orders: number): Promise<void> {
  let left = orders;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) {
        const orderId = randomUUID();
        const lines = [{ sku, quantity: 1 }];
        const view = (await client.workflow.execute(NEWEST_ORDER_WORKFLOW_TYPE, {
          ...{ workflowId: orderWorkflowId(orderId), taskQueue: ORDER_TASK_QUEUE },
          args: [{ orderId, customerId: 'bench', lines, payment: { token: 'tok_ok' } }],
        })) as { status: string };
        if (view.status !== 'completed') throw new Error(`order ${orderId} is ${view.status}`);
      }
    }),
  );
}

async function measure(cluster: TemporaryCluster, fleet: Fleet, orders: number): Promise<Round> {
  const before = { used: await usedBy(cluster, fleet), machine: machineSeconds(), at: performance.now() };
  await sell(fleet, orders);
  const seconds = (performance.now() - before.at) / 1000;
  const machine = machineSeconds() - before.machine;
  const used = Object.entries(await usedBy(cluster, fleet)).map(
    ([who, now]) => [who, now - before.used[who]!] as const,
  );
  const ours = used.reduce((sum, [, each]) => sum + each, 0);
  return {
    perSecond: orders / seconds,
    cost: Object.fromEntries([...used, ['others', machine - ours] as const].map(([who, each]) => [who, each / orders])),
    busy: machine / seconds / cpus().length,
  };
}

/** Processor seconds until now, by who used them. */
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
    'this load': await processorSeconds(process.pid),
  };
}

const middle = (values: number[]) => percentile(values, 0.5);

function costs(rounds: Round[]): string {
  const names = Object.keys(rounds[0]!.cost);
  return names.map((who) => `${who} ${(middle(rounds.map(({ cost }) => cost[who]!)) * 1000).toFixed(0)} ms`).join(', ');
}
