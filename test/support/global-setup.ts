import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { APP_ROLE, createDatabase, withAppRole, type Database } from '../../tools/servers/postgres/databases.js';
import { freePort } from '../../tools/processes/ports.js';
import { startPostgres } from '../../tools/servers/postgres/postgres.js';
import { silentReport } from '../../tools/terminal/report.js';
import { loadSettings } from '../../tools/stack/settings.js';
import { CLUSTER_REPLICAS } from '../../tools/stack/stack.js';
import { findTemporalCli } from '../../tools/servers/programs/temporal-cli.js';
import { findTemporalPrograms } from '../../tools/servers/programs/temporal-programs.js';
import { findTimeSkippingServer } from '../../tools/servers/programs/time-skipping-server.js';
import { openStore } from '../../src/store/index.js';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import { migrate } from '../../src/store/migrate.js';
import { grantRights } from '../../src/store/rights.js';
import { findChromium } from './browser.js';
import { findKustomize } from './kustomize.js';
import { findPrometheus } from './prometheus.js';
import { findSchemathesis } from './schemathesis.js';

/** A program that tests need, or the reason why it is missing. */
type Found = { path: string } | { missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** A migrated, empty database; each test file copies it. */
    databaseUrl: string;
    /**
     * The address of a Temporal server that the whole run shares. If undefined, each file that needs a server starts a
     * dev server.
     */
    clusterAddress: string | undefined;
    /** Number of workers and of APIs in a test file, unless the test sets it. */
    replicas: number;
    temporalCli: Found;
    timeSkippingServer: Found;
    /** The folder of the full server's programs. */
    temporalPrograms: Found;
    chromium: Found;
    schemathesis: Found;
    kustomize: Found;
    prometheus: Found;
    /** The workflow bundle that all workers of the run share. */
    workflowBundle: string;
  }
}

/** Creates what all test files share: a PostgreSQL cluster, the workflow bundle, and the paths of the servers. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'orchestration-test-'));
  const settings = loadSettings();
  const search = { settings, report: silentReport };

  const [temporalCli, timeSkippingServer, temporalPrograms, chromium, schemathesis, kustomize, prometheus] =
    await Promise.all([
      found(findTemporalCli(search)),
      found(findTimeSkippingServer(search)),
      found(findTemporalPrograms({ ...search, build: false }).then(({ server }) => ({ path: dirname(server) }))),
      found(findChromium()),
      found(findSchemathesis(settings)),
      found(findKustomize(settings)),
      found(findPrometheus(settings)),
    ]);
  const { cluster } = settings;
  const all = [temporalCli, timeSkippingServer, temporalPrograms, chromium, schemathesis, kustomize, prometheus];
  // On a cluster, nearly every test needs the CLI; without it, these tests would be skipped and the run would pass.
  const required = process.env.REQUIRE_ALL_SERVERS ? all : cluster ? [temporalCli] : [];
  for (const program of required) if ('missing' in program) throw new Error(program.missing);
  const [database, { code }] = await Promise.all([
    cluster ? createDatabase(cluster.databaseUrl) : ownDatabase(join(folder, 'postgres')),
    bundleWorkflows(new DefaultLogger('WARN')),
  ]);
  const workflowBundle = join(folder, 'workflow-bundle.js');
  await writeFile(workflowBundle, code);

  const store = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
  await migrate(store.db);
  await withAppRole(database.url);
  await grantRights(store.db, APP_ROLE);
  await store.close();

  project.provide('databaseUrl', database.url);
  project.provide('clusterAddress', cluster?.address);
  project.provide('replicas', cluster ? CLUSTER_REPLICAS : 1);
  project.provide('temporalCli', temporalCli);
  project.provide('timeSkippingServer', timeSkippingServer);
  project.provide('temporalPrograms', temporalPrograms);
  project.provide('chromium', chromium);
  project.provide('schemathesis', schemathesis);
  project.provide('kustomize', kustomize);
  project.provide('prometheus', prometheus);
  project.provide('workflowBundle', workflowBundle);

  return async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  };
}

/** A database in a new PostgreSQL for this run alone. */
async function ownDatabase(dataDir: string): Promise<Database> {
  const postgres = await startPostgres({ dataDir, port: await freePort(), durable: false, report: silentReport });
  return { url: postgres.url, drop: () => postgres.destroy() };
}

async function found(search: Promise<{ path: string }>): Promise<Found> {
  try {
    const { path } = await search;
    return { path };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}
