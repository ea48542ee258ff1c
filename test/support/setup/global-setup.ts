import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { ProvidedContext } from 'vitest';
import type { TestProject } from 'vitest/node';
import { freePort } from '../processes.js';
import {
  APP_ROLE,
  createTemporaryDatabase,
  createAppRole,
  type TemporaryDatabase,
} from '../../../tools/servers/postgres/temporary-database.js';
import { startPostgres } from '../../../tools/servers/postgres/postgres.js';
import { createReporter, silentReporter } from '../../../tools/terminal/reporter.js';
import { loadSettings, type Settings } from '../../../tools/settings/settings.js';
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
import { readTestNeeds } from '../../../tools/project/test-tiers.js';
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
    /** The folder with `src/` compiled to JavaScript, for the processes that tests start. Undefined in unit tests. */
    compiledSource: string | undefined;
  }
}

/** The programs that tests use. They are searched or built only for a test that needs them. */
type ProgramName = {
  [Name in keyof ProvidedContext]: ProvidedContext[Name] extends ProgramSearch ? Name : never;
}[keyof ProvidedContext];

/**
 * Provides what the test files of this run need, see `readTestNeeds`: a PostgreSQL server, the workflow bundle, and the
 * paths of programs. Provides everything if the needs are unknown: in watch mode, because a later run may contain other
 * test files, and if a test file does not compile.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const needs = project.vitest.config.watch ? undefined : needsOfRun(project);
  const isNeeded = (...names: string[]): boolean => needs === undefined || names.some((name) => needs.has(name));
  const settings = loadSettings();
  const { sharedServers } = settings;

  await providePrograms(project, settings, isNeeded);
  project.provide('clusterAddress', sharedServers?.address);
  project.provide('replicas', sharedServers ? CLUSTER_REPLICAS : 1);
  // End-to-end tests start processes, which start faster from compiled sources.
  const needsBuild = project.name === 'e2e' || isNeeded('workflowBundle', 'compiledSource');
  const [stopDatabase] = await Promise.all([
    isNeeded('databaseUrl') ? provideDatabase(project, settings) : undefined,
    needsBuild ? provideBuild(project) : undefined,
  ]);
  if (needsBuild) project.onTestsRerun(() => provideBuild(project).catch(printBuildError));
  return async () => stopDatabase?.();
}

function needsOfRun({ vitest }: TestProject): Set<string> | undefined {
  const needs = readTestNeeds(vitest.state.getPaths().map((path) => relative(vitest.config.root, path)));
  return needs && new Set([...needs.values()].flatMap((ofFile) => [...ofFile]));
}

/** Finds, downloads or builds the needed programs. A test whose program is missing is skipped, and reports the reason. */
async function providePrograms(
  project: TestProject,
  settings: Settings,
  isNeeded: (name: string) => boolean,
): Promise<void> {
  const search = { settings, report: createReporter() };
  const requireAll = Boolean(process.env.REQUIRE_ALL_PROGRAMS);
  const programs: Record<ProgramName, () => Promise<{ path: string }>> = {
    temporalCli: () => findTemporalCli(search),
    timeSkippingServer: () => findTimeSkippingServer(search),
    // Builds the server only if all programs are required, because the build takes minutes and few tests need the server.
    temporalPrograms: async () => {
      const { serverPath } = await findTemporalServerBinaries({ ...search, allowBuild: requireAll });
      return { path: dirname(serverPath) };
    },
    chromium: () => findChromium(),
    schemathesis: () => findSchemathesis(settings),
    kustomize: () => findKustomize(settings),
    prometheus: () => findPrometheus(settings),
    kubernetesPrograms: () => findKubernetesPrograms({ ...search, allowBuild: false }),
  };
  const needed = (Object.keys(programs) as ProgramName[]).filter(isNeeded);
  const found = await Promise.all(needed.map(async (name) => [name, await toProgramSearch(programs[name]())] as const));
  for (const [name, program] of found) {
    // In a run on a cluster, nearly every test needs the CLI. If the CLI were missing, those tests would be skipped and
    // the run would pass.
    const isRequired = requireAll || (settings.sharedServers && name === 'temporalCli');
    if ('missing' in program && isRequired) throw new Error(program.missing);
    project.provide(name, program);
  }
}

/** Provides a migrated, empty database. @returns a function that removes the database. */
async function provideDatabase(project: TestProject, { sharedServers }: Settings): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'orchestration-test-'));
  const database = await (sharedServers
    ? createTemporaryDatabase(sharedServers.databaseUrl)
    : startDatabase(join(folder, 'postgres')));
  const store = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
  await migrate(store.db);
  await createAppRole(database.url);
  await grantAppRolePrivileges(store.db, APP_ROLE);
  await store.close();
  project.provide('databaseUrl', database.url);

  // Vitest exits at once after SIGINT and SIGTERM. Then the server stops with this process.
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  return async () => {
    await database.drop();
    removeFolder();
    process.off('exit', removeFolder);
  };
}

/** Provides the build of the current sources. */
async function provideBuild(project: TestProject): Promise<void> {
  const { folder, workflowBundle } = await buildSources();
  project.provide('workflowBundle', workflowBundle);
  project.provide('compiledSource', folder);
}

/** In watch mode, a saved file may not compile. */
function printBuildError(error: unknown): void {
  const [first, second, third] = (error as Error).message.split('\n');
  console.error(['The tests use the last sources that compiled, because of:', first, second, third].join('\n'));
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
