import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openConnection } from '../../../src/temporal/connections.js';
import { freePort } from '../../processes/ports.js';
import { startPostgres } from '../../servers/postgres/postgres.js';
import { createReporter } from '../../terminal/reporter.js';
import { loadSettings, type Settings } from '../../settings/settings.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { Stack } from '../../stack/stack.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { startTemporalDevServer } from '../../servers/temporal/temporal-dev-server.js';
import { createClientDataConverter } from '../../../src/temporal/encryption/data-converters.js';
import { encryptionKeys } from '../../../src/temporal/encryption/keys.js';
import { bundlePath, bundleWorkflows, type BundleVariant } from '../../../src/temporal/workflow-bundle.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByHttp, addBenchProduct } from '../load/orders.js';
import { readCpuSeconds } from '../measure/cpu-time.js';
import { collectConcurrently } from '../measure/sampling.js';

const ORDERS = 60;
const WARM_UP = 40;
const CONCURRENCY = 10;
const ROUNDS = 5;
/** The bench scrapes three times as often as deploy/observability/prometheus.yml configures. */
const SCRAPE_INTERVAL_MS = 5_000;

/** A set of enabled features, with the environment variables that enable them in worker and API. */
interface Variant {
  name: string;
  bundleVariant: BundleVariant;
  application: (sinkUrl: string) => Settings['applicationEnv'];
  metrics?: boolean;
}

const ENCRYPTION_KEY = { id: 'bench', base64: randomBytes(32).toString('base64') };
const encryptionVariables = { PAYLOAD_ENCRYPTION_KEYS: `${ENCRYPTION_KEY.id}:${ENCRYPTION_KEY.base64}` };

/** The first variant is the baseline. */
const VARIANTS: readonly [Variant, ...Variant[]] = [
  { name: 'off', bundleVariant: {}, application: () => ({}) },
  { name: 'metrics', bundleVariant: {}, application: () => ({}), metrics: true },
  { name: 'traces', bundleVariant: { traced: true }, application: (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url }) },
  { name: 'encryption', bundleVariant: { encrypted: true }, application: () => encryptionVariables },
  {
    name: 'all three',
    bundleVariant: { traced: true, encrypted: true },
    application: (url) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...encryptionVariables }),
    metrics: true,
  },
];

interface RunningVariant {
  name: string;
  stack: Stack;
  client: Client;
  /** The metrics URLs that the bench scrapes like Prometheus. Empty without metrics. */
  scrapeUrls: readonly string[];
}

/** What is measured per order. */
const ORDER_METRICS = {
  perSecond: { what: 'orders', unit: 'per second', better: 'more' },
  worker: { what: 'CPU time per order, worker', unit: 'ms', better: 'less' },
  api: { what: 'CPU time per order, API', unit: 'ms', better: 'less' },
  events: { what: 'events per order', unit: 'events', better: 'less' },
  bytes: { what: 'history bytes per order', unit: 'bytes', better: 'less' },
} as const satisfies Record<string, { what: string } & Pick<Comparison, 'unit' | 'better'>>;

type OrderMetrics = Record<keyof typeof ORDER_METRICS, number>;

/**
 * Measures the cost of metrics, traces and encryption. Places orders over HTTP and waits until they are completed:
 * without these features, with each of them, and with all three. The variants take turns on the same servers. Linux
 * only.
 */
export async function benchObservability({ scale }: SampleScale): Promise<Comparison[]> {
  const report = createReporter();
  const folder = await mkdtemp(join(tmpdir(), 'bench-observability-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const sink = await startTraceSink();
    stops.unshift(() => sink.close());
    const cli = await findTemporalCli({ settings: loadSettings(), report });
    const temporal = await startTemporalDevServer({ cliPath: cli.path, port: await freePort(), namespace: 'default' });
    stops.unshift(() => temporal.stop());
    const postgres = await startPostgres({
      dataDir: join(folder, 'postgres'),
      port: await freePort(),
      durable: false,
      report,
    });
    stops.unshift(() => postgres.destroy());
    const connection = await openConnection({ TEMPORAL_ADDRESS: temporal.address });
    stops.unshift(() => connection.close());

    const cluster = { address: temporal.address, databaseUrl: postgres.url };
    const runningVariants: RunningVariant[] = [];
    for (const variant of VARIANTS) {
      const running = await startVariant(variant, { cluster, connection, folder, sinkUrl: sink.url });
      stops.unshift(() => running.stack.stop());
      runningVariants.push(running);
    }
    const orders = scale(ORDERS);
    for (const variant of runningVariants) await measureOrders(variant, scale(WARM_UP));
    const measured: Partial<Record<keyof OrderMetrics, ValuesByVariant>> = {};
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const variant of runningVariants) {
        const costs = await measureOrders(variant, orders);
        for (const [cost, value] of Object.entries(costs) as [keyof OrderMetrics, number][])
          addValue((measured[cost] ??= {}), variant.name, value);
      }
    }
    return (Object.keys(ORDER_METRICS) as (keyof OrderMetrics)[]).flatMap((cost) =>
      compareWithFirst(measured[cost]!, { ...ORDER_METRICS[cost], sampleCount: orders }),
    );
  } finally {
    for (const stop of stops) await stop();
  }
}

interface BenchServers {
  cluster: NonNullable<Settings['sharedServers']>;
  connection: Connection;
  folder: string;
  sinkUrl: string;
}

async function startVariant(
  { name, bundleVariant, application, metrics = false }: Variant,
  servers: BenchServers,
): Promise<RunningVariant> {
  const bundle = join(servers.folder, 'workflow-bundle.js');
  await writeFile(
    bundlePath(bundle, bundleVariant),
    (await bundleWorkflows(new DefaultLogger('WARN'), bundleVariant)).code,
  );
  const stack = await startTemporaryStack(
    {
      sharedServers: servers.cluster,
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      logLevel: 'warn',
      applicationEnv: { WORKFLOW_BUNDLE: bundle, ...application(servers.sinkUrl) },
    },
    { workerCount: 1, apiCount: 1, metrics },
  );
  const { ownerDatabaseUrl, temporalNamespace: namespace } = stack.addresses;
  await addBenchProduct(ownerDatabaseUrl);
  const keys = bundleVariant.encrypted ? encryptionKeys.parse(encryptionVariables.PAYLOAD_ENCRYPTION_KEYS) : [];
  const dataConverter = createClientDataConverter({ keys, namespace });
  const client = new Client({ connection: servers.connection, namespace, dataConverter });
  return { name, stack, client, scrapeUrls: metrics ? stack.addresses.metricsUrls : [] };
}

async function measureOrders({ stack, client, scrapeUrls }: RunningVariant, orders: number): Promise<OrderMetrics> {
  const used = (part: 'worker' | 'api') => readCpuSeconds(stack.processes.get(part)!.current.pid);
  const before = { worker: await used('worker'), api: await used('api'), at: performance.now() };
  const scrape = () => Promise.all(scrapeUrls.map(async (url) => (await fetch(url)).text()));
  const scraping = setInterval(() => void scrape().catch(() => undefined), SCRAPE_INTERVAL_MS);
  const ids = await collectConcurrently(orders, CONCURRENCY, () =>
    completeOrderByHttp(stack.addresses.apiUrl, client),
  ).finally(() => clearInterval(scraping));
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

/** Starts an OTLP receiver that discards all spans. */
async function startTraceSink(): Promise<{ url: string; close: () => Promise<void> }> {
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
