import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { freePort } from '../../processes/ports.js';
import { startPostgres } from '../../servers/postgres/postgres.js';
import { streamReport } from '../../terminal/report.js';
import { loadSettings, type Settings } from '../../stack/settings.js';
import { startTemporaryStack, type Stack } from '../../stack/stack.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { startTemporalServer } from '../../servers/temporal/dev-server.js';
import { clientDataConverter } from '../../../src/temporal/encryption/data-converters.js';
import { encryptionKeys } from '../../../src/temporal/encryption/keys.js';
import { bundleOfFlavour, bundleWorkflows, type BundleFlavour } from '../../../src/temporal/workflow-bundle.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByHttp, stockUp } from './orders.js';
import { processorSeconds } from '../measure/processor-time.js';
import { inParallel } from '../measure/sample.js';

const ORDERS = 60;
const WARM_UP = 40;
const AT_ONCE = 10;
const ROUNDS = 5;
/** Scrapes three times as often as deploy/observability/prometheus.yml. */
const SCRAPED_EVERY_MS = 5_000;

/** A set of enabled features, and the variables of worker and API that enable them. */
interface Variant {
  name: string;
  flavour: BundleFlavour;
  application: (sinkUrl: string) => Settings['application'];
  metrics?: boolean;
}

const KEY = { id: 'bench', base64: randomBytes(32).toString('base64') };
const encryption = { PAYLOAD_ENCRYPTION_KEYS: `${KEY.id}:${KEY.base64}` };

/** The first variant is the base of the comparison. */
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

interface Contender {
  name: string;
  stack: Stack;
  client: Client;
  /** The URLs that Prometheus would scrape. */
  scraped: readonly string[];
}

/** The measured costs of an order. */
const COSTS = {
  perSecond: { what: 'orders', unit: 'a second', better: 'more' },
  worker: { what: "an order's processor, worker", unit: 'ms', better: 'less' },
  api: { what: "an order's processor, API", unit: 'ms', better: 'less' },
  events: { what: 'events an order', unit: 'events', better: 'less' },
  bytes: { what: 'bytes of history an order', unit: 'bytes', better: 'less' },
} as const satisfies Record<string, { what: string } & Pick<Figure, 'unit' | 'better'>>;

type Costs = Record<keyof typeof COSTS, number>;

/**
 * The cost of metrics, traces and encryption: orders from their POST to `completed`, without any of them and with each,
 * in turn on the same servers. Linux only.
 */
export async function benchObservability({ take }: Effort): Promise<Figure[]> {
  const report = streamReport();
  const folder = await mkdtemp(join(tmpdir(), 'bench-observability-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const sink = await openSink();
    stops.unshift(() => sink.close());
    const cli = await findTemporalCli({ settings: loadSettings(), report });
    const temporal = await startTemporalServer({ cli: cli.path, port: await freePort(), namespace: 'default' });
    stops.unshift(() => temporal.stop());
    const postgres = await startPostgres({
      dataDir: join(folder, 'postgres'),
      port: await freePort(),
      durable: false,
      report,
    });
    stops.unshift(() => postgres.destroy());
    const connection = await Connection.connect({ address: temporal.address });
    stops.unshift(() => connection.close());

    const cluster = { address: temporal.address, databaseUrl: postgres.url };
    const contenders: Contender[] = [];
    for (const variant of VARIANTS) {
      const contender = await open(variant, { cluster, connection, folder, sinkUrl: sink.url });
      stops.unshift(() => contender.stack.stop());
      contenders.push(contender);
    }
    const orders = take(ORDERS);
    for (const contender of contenders) await measure(contender, take(WARM_UP));
    const measured: Partial<Record<keyof Costs, Measured>> = {};
    for (let round = 0; round < take(ROUNDS); round += 1) {
      for (const contender of contenders) {
        const costs = await measure(contender, orders);
        for (const [cost, value] of Object.entries(costs) as [keyof Costs, number][])
          note((measured[cost] ??= {}), contender.name, value);
      }
    }
    return (Object.keys(COSTS) as (keyof Costs)[]).flatMap((cost) =>
      besideFirst(measured[cost]!, { ...COSTS[cost], of: orders }),
    );
  } finally {
    for (const stop of stops) await stop();
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
      cluster: place.cluster,
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      logLevel: 'warn',
      application: { WORKFLOW_BUNDLE: bundle, ...application(place.sinkUrl) },
    },
    { workers: 1, apis: 1, metrics },
  );
  const { ownerDatabaseUrl, temporalNamespace: namespace } = stack.addresses;
  await stockUp(ownerDatabaseUrl);
  const keys = flavour.encrypted ? encryptionKeys.parse(encryption.PAYLOAD_ENCRYPTION_KEYS) : [];
  const dataConverter = clientDataConverter({ keys, namespace });
  const client = new Client({ connection: place.connection, namespace, dataConverter });
  return { name, stack, client, scraped: metrics ? stack.addresses.metricsUrls : [] };
}

async function measure({ stack, client, scraped }: Contender, orders: number): Promise<Costs> {
  const used = (part: 'worker' | 'api') => processorSeconds(stack.parts.get(part)!.process.pid);
  const before = { worker: await used('worker'), api: await used('api'), at: performance.now() };
  const scrape = () => Promise.all(scraped.map(async (url) => (await fetch(url)).text()));
  const scraping = setInterval(() => void scrape().catch(() => undefined), SCRAPED_EVERY_MS);
  const ids = await inParallel(orders, AT_ONCE, () => sellByHttp(stack.addresses.apiUrl, client)).finally(() =>
    clearInterval(scraping),
  );
  const seconds = (performance.now() - before.at) / 1000;
  const [worker, api] = [(await used('worker')) - before.worker, (await used('api')) - before.api];
  const history = await client.workflow.getHandle(orderWorkflowId(ids[0]!)).describe();
  return {
    perSecond: orders / seconds,
    worker: (worker / orders) * 1000,
    api: (api / orders) * 1000,
    events: history.historyLength,
    bytes: history.historySize ?? 0,
  };
}

/** An OTLP receiver that discards spans. */
async function openSink(): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
