import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { freePort } from '../processes.js';
import {
  APP_ROLE,
  createTemporaryDatabase,
  createAppRole,
  type TemporaryDatabase,
} from '../../../tools/servers/postgres/temporary-database.js';
import { startPostgres } from '../../../tools/servers/postgres/postgres.js';
import { silentReporter } from '../../../tools/terminal/reporter.js';
import { loadSettings } from '../../../tools/settings/settings.js';
import { CLUSTER_REPLICAS } from '../../../tools/stack/stack.js';
import { findChromium } from '../../../tools/servers/programs/chromium.js';
import { findKubernetesPrograms } from '../../../tools/servers/programs/kubernetes-programs.js';
import { findTemporalCli } from '../../../tools/servers/programs/temporal-cli.js';
import { findTemporalServerBinaries } from '../../../tools/servers/programs/temporal-server-binaries.js';
import { findTimeSkippingServer } from '../../../tools/servers/programs/time-skipping-server.js';
import { openStore } from '../../../src/store/index.js';
import { migrate } from '../../../src/store/migrations/index.js';
import { grantAppRolePrivileges } from '../../../src/store/postgres/privileges.js';
import { buildSources } from '../../../tools/source-build/source-build.js';
import { findKustomize } from '../deploy/kustomize.js';
import { findPrometheus } from '../deploy/prometheus.js';
import { findSchemathesis } from '../api/schemathesis.js';

/** The path of a program that tests need, or the reason why the program is missing. */
type ProgramSearch = { path: string } | { missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of a migrated, empty database. Each test file uses a copy. */
    databaseUrl: string;
    /**
     * The address of the Temporal server that all test files share. If undefined, each test file that needs a server
     * starts a dev server.
     */
    clusterAddress: string | undefined;
    /** The default number of workers and of API replicas in a test file. */
    replicas: number;
    temporalCli: ProgramSearch;
    timeSkippingServer: ProgramSearch;
    /** The folder with the programs of the full Temporal server. */
    temporalPrograms: ProgramSearch;
    chromium: ProgramSearch;
    schemathesis: ProgramSearch;
    kustomize: ProgramSearch;
    prometheus: ProgramSearch;
    /** The folder with the API server of Kubernetes and etcd. */
    kubernetesPrograms: ProgramSearch;
    /** The workflow bundle that all workers of the run share. */
    workflowBundle: string;
    /** The folder with `src/` compiled to JavaScript, for the processes that tests start. */
    compiledSource: string;
  }
}

/**
 * Creates the resources that all test files share: a PostgreSQL server, the workflow bundle, and the paths of programs.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'orchestration-test-'));
  const settings = loadSettings();
  const search = { settings, report: silentReporter };

  const [
    temporalCli,
    timeSkippingServer,
    temporalPrograms,
    chromium,
    schemathesis,
    kustomize,
    prometheus,
    kubernetesPrograms,
  ] = await Promise.all([
    toProgramSearch(findTemporalCli(search)),
    toProgramSearch(findTimeSkippingServer(search)),
    toProgramSearch(
      findTemporalServerBinaries({ ...search, allowBuild: false }).then(({ serverPath }) => ({
        path: dirname(serverPath),
      })),
    ),
    toProgramSearch(findChromium()),
    toProgramSearch(findSchemathesis(settings)),
    toProgramSearch(findKustomize(settings)),
    toProgramSearch(findPrometheus(settings)),
    toProgramSearch(findKubernetesPrograms({ ...search, allowBuild: false })),
  ]);
  const { sharedServers } = settings;
  const all = [temporalCli, timeSkippingServer, temporalPrograms, chromium, schemathesis, kustomize, prometheus];
  // Only end-to-end tests need these programs. In CI, they are built while the other tests run.
  if (project.name === 'e2e') all.push(kubernetesPrograms);
  // In a run on a cluster, nearly every test needs the CLI. If the CLI were missing, those tests would be skipped and
  // the run would pass.
  const required = process.env.REQUIRE_ALL_PROGRAMS ? all : sharedServers ? [temporalCli] : [];
  for (const program of required) if ('missing' in program) throw new Error(program.missing);
  const [database, build] = await Promise.all([
    sharedServers ? createTemporaryDatabase(sharedServers.databaseUrl) : startDatabase(join(folder, 'postgres')),
    buildSources(),
  ]);

  const store = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
  await migrate(store.db);
  await createAppRole(database.url);
  await grantAppRolePrivileges(store.db, APP_ROLE);
  await store.close();

  project.provide('databaseUrl', database.url);
  project.provide('clusterAddress', sharedServers?.address);
  project.provide('replicas', sharedServers ? CLUSTER_REPLICAS : 1);
  project.provide('temporalCli', temporalCli);
  project.provide('timeSkippingServer', timeSkippingServer);
  project.provide('temporalPrograms', temporalPrograms);
  project.provide('chromium', chromium);
  project.provide('schemathesis', schemathesis);
  project.provide('kustomize', kustomize);
  project.provide('prometheus', prometheus);
  project.provide('kubernetesPrograms', kubernetesPrograms);
  project.provide('workflowBundle', build.workflowBundle);
  project.provide('compiledSource', build.folder);

  return async () => {
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  };
}

/** Starts a PostgreSQL server for this run and returns a database in it. */
async function startDatabase(dataDir: string): Promise<TemporaryDatabase> {
  const postgres = await startPostgres({ dataDir, port: await freePort(), durable: false, report: silentReporter });
  return { url: postgres.url, drop: () => postgres.destroy() };
}

async function toProgramSearch(search: Promise<{ path: string }>): Promise<ProgramSearch> {
  try {
    const { path } = await search;
    return { path };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}
