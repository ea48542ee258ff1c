import { join } from 'node:path';
import { mapAddress, type PortMapper } from '../network-links.js';
import type { ProcessName, StackAddresses } from '../stack.js';
import { usesFakes, usesFakeSlack, usesFakeStripe } from '../../settings/development-environment.js';
import { consoleEnvironment, partnerUrls } from './environment.js';
import type { StartContext } from './servers.js';

/** The ports of one worker or API process. `metricsPort` is undefined if metrics are disabled. */
export interface Replica {
  port: number;
  metricsPort: number | undefined;
}

/** The values that are needed to start worker, API and fakes. */
export interface ServiceContext extends StartContext {
  addresses: StackAddresses;
  /** The environment variables that worker and API share. */
  env: Record<string, string | undefined>;
  mapPort: PortMapper;
}

/** Starts the fake external systems, unless all external systems are configured. */
export async function startFakes(
  { settings, processes, report, addresses, env, mapPort }: ServiceContext,
  callbackOrigin: string,
): Promise<void> {
  if (!usesFakes(settings)) {
    report.print('      PAYMENTS_URL, CARRIER_URL and SMTP_URL are set, so no fakes are started');
    return;
  }
  const dataDir = join(settings.dataDir, 'fakes');
  await processes.addProgram('fakes', 'tools/fakes/main.ts', {
    ...env,
    FAKES_HOST: '127.0.0.1',
    FAKES_PORT: String(settings.fakesPort),
    FAKES_LEDGER_PATH: join(dataDir, 'ledger.jsonl'),
    FAKES_SMTP_PORT: settings.smtpUrl === undefined ? String(settings.smtpPort) : 'none',
    FAKES_STACK_DIR: settings.dataDir,
    FAKES_MAILBOX_DIR: join(dataDir, 'mails'),
    CARRIER_WEBHOOK_SECRET: addresses.carrierWebhookSecret,
    CARRIER_CALLBACK_URL: `${await mapAddress(mapPort, 'carrier to API', callbackOrigin)}/v1/callbacks/shipments`,
    ...(usesFakeSlack(settings) && { SLACK_INTERACTIONS_URL: `${callbackOrigin}/v1/callbacks/slack` }),
    ...(usesFakeStripe(settings) && { STRIPE_EVENTS_URL: `${callbackOrigin}/v1/callbacks/stripe` }),
    FAKE_CARRIER_PICKUP_SECONDS: String(settings.carrierPickupSeconds),
    FAKE_CARRIER_DELIVERY_SECONDS: String(settings.carrierDeliverySeconds),
  });
}

/** Starts the worker processes. The `port` of a replica is the port of the health endpoint. */
export async function startWorkers(context: ServiceContext, replicas: readonly Replica[]): Promise<void> {
  const { processes, env, addresses, mapPort } = context;
  const urls = {
    ...(await serverUrls(context, 'worker')),
    ...(await partnerUrls(mapPort, addresses, env.STRIPE_API_URL)),
  };
  for (const [index, { port, metricsPort }] of replicas.entries()) {
    const ports = { HEALTH_PORT: String(port), ...(metricsPort && { METRICS_PORT: String(metricsPort) }) };
    await processes.addProgram(replicaName('worker', index), 'src/worker.ts', { ...env, ...urls, ...ports });
  }
}

export async function startApis(context: ServiceContext, replicas: readonly Replica[]): Promise<void> {
  const { processes, addresses } = context;
  const env = { ...consoleEnvironment(addresses), ...context.env };
  const urls = await serverUrls(context, 'API');
  for (const [index, { port, metricsPort }] of replicas.entries()) {
    const ports = { PORT: String(port), ...(metricsPort && { METRICS_PORT: String(metricsPort) }) };
    await processes.addProgram(replicaName('api', index), 'src/api/server.ts', { ...env, ...urls, ...ports });
  }
}

/** Returns the addresses of Temporal and PostgreSQL for this caller. */
const serverUrls = async ({ addresses, mapPort }: ServiceContext, caller: 'worker' | 'API') => ({
  TEMPORAL_ADDRESS: await mapAddress(mapPort, `${caller} to Temporal`, addresses.temporalAddress),
  DATABASE_URL: await mapAddress(mapPort, `${caller} to PostgreSQL`, addresses.databaseUrl),
});

const replicaName = (kind: 'worker' | 'api', index: number): ProcessName =>
  index === 0 ? kind : `${kind}-${index + 1}`;
