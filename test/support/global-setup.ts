import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { freePort } from '../../dev/ports.js';
import { startPostgres } from '../../dev/postgres.js';
import { silentReport } from '../../dev/report.js';
import { loadSettings } from '../../dev/settings.js';
import { findTemporalCli } from '../../dev/temporal-cli.js';
import { findTimeSkippingServer } from '../../dev/time-skipping-server.js';
import { openStore } from '../../src/store/index.js';
import { bundleWorkflows } from '../../src/temporal.js';
import { migrate } from '../../src/store/migrate.js';
import { findChromium } from './browser.js';
import { findKustomize } from './kustomize.js';
import { findSchemathesis } from './schemathesis.js';

/** A program that tests need, or why it is not there. */
type Found = { path: string } | { missing: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** A migrated, empty database; each test file copies it. */
    databaseUrl: string;
    temporalCli: Found;
    timeSkippingServer: Found;
    chromium: Found;
    schemathesis: Found;
    kustomize: Found;
    /** The workflow bundle that all workers of the run share. */
    workflowBundle: string;
  }
}

/** What all test files share, made once: a PostgreSQL cluster, the workflow bundle, and where the servers are. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'orchestration-test-'));
  const settings = loadSettings();
  const search = { settings, report: silentReport };

  const [temporalCli, timeSkippingServer, chromium, schemathesis, kustomize] = await Promise.all([
    found(findTemporalCli(search)),
    found(findTimeSkippingServer(search)),
    found(findChromium()),
    found(findSchemathesis(settings)),
    found(findKustomize(settings)),
  ]);
  if (process.env.REQUIRE_ALL_SERVERS) {
    for (const program of [temporalCli, timeSkippingServer, chromium, schemathesis, kustomize]) {
      if ('missing' in program) throw new Error(program.missing);
    }
  }
  const [postgres, { code }] = await Promise.all([
    startPostgres({ dataDir: join(folder, 'postgres'), port: await freePort(), durable: false, report: silentReport }),
    bundleWorkflows(new DefaultLogger('WARN')),
  ]);
  const workflowBundle = join(folder, 'workflow-bundle.js');
  await writeFile(workflowBundle, code);

  const store = openStore({ databaseUrl: postgres.url, maxConnections: 1, onIdleError: () => undefined });
  await migrate(store.db);
  await store.close();

  project.provide('databaseUrl', postgres.url);
  project.provide('temporalCli', temporalCli);
  project.provide('timeSkippingServer', timeSkippingServer);
  project.provide('chromium', chromium);
  project.provide('schemathesis', schemathesis);
  project.provide('kustomize', kustomize);
  project.provide('workflowBundle', workflowBundle);

  return async () => {
    await postgres.destroy();
    await rm(folder, { recursive: true, force: true });
  };
}

async function found(search: Promise<{ path: string }>): Promise<Found> {
  try {
    const { path } = await search;
    return { path };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}
