import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { freePort } from '../dev/ports.js';
import { startPostgres } from '../dev/postgres.js';
import { streamReport } from '../dev/report.js';
import { loadSettings, type Settings } from '../dev/settings.js';
import { startTemporaryStack, type Stack } from '../dev/stack.js';
import { findTemporalCli } from '../dev/temporal-cli.js';
import { startTemporalServer } from '../dev/temporal-server.js';
import { clientDataConverter } from '../src/encryption/data-converters.js';
import { encryptionKeys } from '../src/encryption/keys.js';
import { openStore } from '../src/store/index.js';
import { bundleOfFlavour, bundleWorkflows, type BundleFlavour } from '../src/temporal.js';
import { orderWorkflowId } from '../src/workflows/order/contract.js';
import { processorSeconds } from './processor-time.js';
import { percentile } from './sample.js';

const ORDERS = 100;
const AT_ONCE = 10;
const ROUNDS = 5;
/** Three times as often as deploy/observability/prometheus.yml. */
const SCRAPED_EVERY_MS = 5_000;
const SKU = 'BENCH';

/** What is switched on, and by which variables of worker and API. */
interface Variant {
  name: string;
  flavour: BundleFlavour;
  application: (sinkUrl: string) => Settings['application'];
  metrics?: boolean;
}

const KEY = { id: 'bench', base64: randomBytes(32).toString('base64') };
const encryption = { PAYLOAD_ENCRYPTION_KEYS: `${KEY.id}:${KEY.base64}` };

/** The first one is what the others are compared with. */
const VARIANTS: readonly [Variant, ...Variant[]] = [
  { name: 'off', flavour: {}, application: () => ({}) },
  { name: 'metrics', flavour: {}, application: () => ({}), metrics: true },
  { name: 'traces', flavour: { traced: true }, application: (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url }) },
  { name: 'encryption', flavour: { encrypted: true }, application: () => encryption },
  {
    name: 'all three',
    flavour: { traced: true, encrypted: true },
    application: (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...encryption }),
    metrics: true,
  },
];

/** What an order costs in a round. */
interface Round {
  perSecond: number;
  /** Milliseconds of a processor. */
  worker: number;
  api: number;
  events: number;
  bytes: number;
}

interface Contender {
  name: string;
  stack: Stack;
  client: Client;
  /** What Prometheus would read. */
  scraped: readonly string[];
  rounds: Round[];
}

const SHOWN = {
  perSecond: 'orders a second',
  worker: 'ms of a processor an order, worker',
  api: 'ms of a processor an order, API',
  events: 'events an order',
  bytes: 'bytes of history an order',
} as const satisfies Record<keyof Round, string>;

/**
 * What it costs to see what happens and to hide it: orders from their POST to `completed`, with nothing on and with each, in
 * turn on the same servers. Each figure is that of a round over that of the round with nothing on beside it. Linux only.
 */
export async function benchObservability(): Promise<void> {
  const report = streamReport();
  const folder = await mkdtemp(join(tmpdir(), 'bench-observability-'));
  const sink = await openSink();
  const cli = await findTemporalCli({ settings: loadSettings(), report });
  const [temporal, postgres] = await Promise.all([
    startTemporalServer({ cli: cli.path, port: await freePort(), namespace: 'default' }),
    startPostgres({ dataDir: join(folder, 'postgres'), port: await freePort(), durable: false, report }),
  ]);
  const connection = await Connection.connect({ address: temporal.address });
  const contenders: Contender[] = [];
  try {
    for (const variant of VARIANTS) {
      const cluster = { address: temporal.address, databaseUrl: postgres.url };
      contenders.push(await open(variant, { cluster, connection, folder, sinkUrl: sink.url }));
    }
    for (const contender of contenders) await measure(contender, ORDERS / 2);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contender of contenders) contender.rounds.push(await measure(contender, ORDERS));
    }
    print(contenders);
  } finally {
    for (const { stack } of contenders) await stack.stop();
    await connection.close();
    await temporal.stop();
    await postgres.destroy();
    sink.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Place {
  cluster: NonNullable<Settings['cluster']>;
  connection: Connection;
  folder: string;
  sinkUrl: string;
}

async function open({ name, flavour, application, metrics = false }: Variant, place: Place): Promise<Contender> {
  const bundle = join(place.folder, 'workflow-bundle.js');
  await writeFile(bundleOfFlavour(bundle, flavour), (await bundleWorkflows(new DefaultLogger('WARN'), flavour)).code);
  const stack = await startTemporaryStack(
    {
      ...{ cluster: place.cluster, carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' },
      application: { WORKFLOW_BUNDLE: bundle, ...application(place.sinkUrl) },
    },
    { workers: 1, apis: 1, metrics },
  );
  const { databaseUrl, temporalNamespace: namespace } = stack.addresses;
  const store = openStore({ databaseUrl, maxConnections: 1, onIdleError: () => undefined });
  await store.addProducts([
    { sku: SKU, name: 'A thing', price: { value: 100, currency: 'EUR' }, available: 1_000_000 },
  ]);
  await store.close();
  const keys = flavour.encrypted ? encryptionKeys.parse(encryption.PAYLOAD_ENCRYPTION_KEYS) : [];
  const dataConverter = clientDataConverter({ keys, namespace });
  const client = new Client({ connection: place.connection, namespace, dataConverter });
  return { name, stack, client, scraped: metrics ? stack.addresses.metricsUrls : [], rounds: [] };
}

async function measure({ stack, client, scraped }: Contender, orders: number): Promise<Round> {
  const used = (part: 'worker' | 'api') => processorSeconds(stack.parts.get(part)!.process.pid);
  const before = { worker: await used('worker'), api: await used('api'), at: performance.now() };
  const scrape = () => Promise.all(scraped.map(async (url) => (await fetch(url)).text()));
  const scraping = setInterval(() => void scrape().catch(() => undefined), SCRAPED_EVERY_MS);
  const ids = await sell(stack, client, orders).finally(() => clearInterval(scraping));
  const seconds = (performance.now() - before.at) / 1000;
  const [worker, api] = [(await used('worker')) - before.worker, (await used('api')) - before.api];
  const history = await client.workflow.getHandle(orderWorkflowId(ids[0]!)).describe();
  return {
    perSecond: orders / seconds,
    ...{ worker: (worker / orders) * 1000, api: (api / orders) * 1000 },
    ...{ events: history.historyLength, bytes: history.historySize ?? 0 },
  };
}

/** Places orders and waits for their ends, some at a time. @throws when one does not complete. */
async function sell({ addresses }: Stack, client: Client, orders: number): Promise<string[]> {
  const ids = Array.from({ length: orders }, () => randomUUID());
  const left = ids.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const orderId of left) {
        const answer = await fetch(`${addresses.apiUrl}/v1/orders`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            ...{ orderId, customerId: 'bench', lines: [{ sku: SKU, quantity: 1 }] },
            payment: { token: 'tok_ok' },
          }),
        });
        if (answer.status !== 202) throw new Error(`order ${orderId}: ${answer.status} ${await answer.text()}`);
        const view = (await client.workflow.getHandle(orderWorkflowId(orderId)).result()) as { status: string };
        if (view.status !== 'completed') throw new Error(`order ${orderId} is ${view.status}`);
      }
    }),
  );
  return ids;
}

function print([base, ...others]: Contender[]): void {
  console.log(
    `observability: orders by HTTP from POST to completed, one worker and one API each\n` +
      `  ${ORDERS} orders a round, ${AT_ONCE} at a time, ${ROUNDS} rounds in turn; medians (lowest to highest), ` +
      `load of the machine ${loadavg()[0]!.toFixed(1)}`,
  );
  for (const [figure, title] of Object.entries(SHOWN) as [keyof Round, string][]) {
    const own = base!.rounds.map((round) => round[figure]);
    console.log(`  ${title}: ${base!.name} ${spread(own, 1)}`);
    for (const { name, rounds } of others) {
      const ratios = rounds.map((round, index) => round[figure] / own[index]!);
      const values = rounds.map((round) => round[figure]);
      console.log(`    ${name.padEnd(12)} ${percentile(values, 0.5).toFixed(1)}   ratio ${spread(ratios, 2)}`);
    }
  }
  console.log('');
}

function spread(values: number[], digits: number): string {
  const [low, middle, high] = [0, 0.5, 1].map((share) => percentile(values, share).toFixed(digits));
  return `${middle} (${low} to ${high})`;
}

/** Takes spans and forgets them. */
async function openSink(): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
