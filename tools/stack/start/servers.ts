import { join } from 'node:path';
import { freePort } from '../../processes/ports.js';
import { startPostgres } from '../../servers/postgres/postgres.js';
import { APP_ROLE, createAppRole } from '../../servers/postgres/temporary-database.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { startTemporalDevServer, type TemporalDevServer } from '../../servers/temporal/temporal-dev-server.js';
import type { Reporter } from '../../terminal/reporter.js';
import type { Settings } from '../settings/settings.js';
import type { StackAddresses } from '../stack.js';
import type { StackProcesses } from './stack-processes.js';

/** What the steps of a start share. */
export interface StartContext {
  settings: Settings;
  processes: StackProcesses;
  report: Reporter;
  durable: boolean;
  webUi: boolean;
  codecUrl: string | undefined;
}

type TemporalAddresses = Pick<StackAddresses, 'temporalAddress' | 'webUiUrl' | 'temporalCliPath'>;

/** Starts Temporal's dev server, unless the settings name a Temporal service. */
export async function startTemporal(context: StartContext): Promise<TemporalAddresses> {
  const { settings, processes, report, durable, webUi, codecUrl } = context;
  if (settings.temporalAddress !== undefined) {
    report.print(`      Temporal is at ${settings.temporalAddress}, so no dev server is started`);
    return { temporalAddress: settings.temporalAddress, webUiUrl: undefined, temporalCliPath: undefined };
  }
  const cli = await findTemporalCli({ settings, report });
  const start = () =>
    startTemporalDevServer({
      cliPath: cli.path,
      port: settings.temporalPort,
      namespace: settings.temporalNamespace,
      logFile: processes.logFile('temporal'),
      ...(webUi ? { uiPort: settings.temporalUiPort } : {}),
      ...(webUi && codecUrl !== undefined ? { codecEndpoint: codecUrl } : {}),
      ...(durable ? { dbFile: join(settings.dataDir, 'temporal', 'temporal.db') } : {}),
    });
  let first: TemporalDevServer | undefined;
  // Without a database file, a restarted server would have lost its state.
  await processes.add('temporal', async () => (first = await start()).process, { restartable: durable });
  report.print(`      Temporal serves on ${first?.address} (${cli.version}, from ${cli.source})`);
  return {
    temporalAddress: `127.0.0.1:${settings.temporalPort}`,
    webUiUrl: first?.uiUrl,
    temporalCliPath: cli.path,
  };
}

/** The database of a stack, as its owner and as the application. */
interface StackDatabase {
  ownerUrl: string;
  databaseUrl: string;
  /** The application's role, which setup grants its privileges; undefined for a database of the settings. */
  appRole?: string;
  /** PostgreSQL's data folder, when the stack started PostgreSQL. */
  postgresDataDir?: string;
}

/** Starts PostgreSQL, unless the settings name a database. */
export async function startDatabase(context: StartContext): Promise<StackDatabase> {
  const { settings, processes, report, durable } = context;
  if (settings.databaseUrl !== undefined) {
    report.print('      DATABASE_URL is set, so no PostgreSQL is started');
    return { ownerUrl: settings.databaseUrl, databaseUrl: settings.databaseUrl };
  }
  const port = await freePort();
  let [ownerUrl, postgresDataDir] = ['', ''];
  await processes.add('postgres', async () => {
    const server = await startPostgres({
      dataDir: join(settings.dataDir, 'postgres'),
      port,
      report,
      durable,
      logFile: processes.logFile('postgres'),
    });
    ownerUrl = server.url;
    postgresDataDir = server.dataDir;
    return server.process;
  });
  report.print(`      PostgreSQL serves on 127.0.0.1:${port}`);
  return { ownerUrl, databaseUrl: await createAppRole(ownerUrl), appRole: APP_ROLE, postgresDataDir };
}
