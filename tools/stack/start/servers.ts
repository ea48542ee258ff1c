import { join } from 'node:path';
import { freePort } from '../../processes/ports.js';
import { startPostgres } from '../../servers/postgres/postgres.js';
import { APP_ROLE, createAppRole } from '../../servers/postgres/temporary-database.js';
import { findTemporalCli } from '../../servers/programs/temporal-cli.js';
import { startTemporalDevServer, type TemporalDevServer } from '../../servers/temporal/temporal-dev-server.js';
import type { Reporter } from '../../terminal/reporter.js';
import type { Settings } from '../../settings/settings.js';
import type { StackAddresses } from '../stack.js';
import type { StackProcesses } from './stack-processes.js';

/** The values that the steps of a start share. */
export interface StartContext {
  settings: Settings;
  processes: StackProcesses;
  report: Reporter;
  durable: boolean;
  webUi: boolean;
  codecUrl: string | undefined;
}

type TemporalAddresses = Pick<StackAddresses, 'temporalAddress' | 'webUiUrl' | 'temporalCliPath'>;

/** Starts Temporal's dev server, unless the settings contain the address of a Temporal service. */
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
  // A server without a database file must not be restarted, because it has lost its state.
  await processes.add('temporal', async () => (first = await start()).process, { restartable: durable });
  report.print(`      Temporal serves on ${first?.address} (${cli.version}, from ${cli.source})`);
  return {
    temporalAddress: `127.0.0.1:${settings.temporalPort}`,
    webUiUrl: first?.uiUrl,
    temporalCliPath: cli.path,
  };
}

/** The URLs of a stack's database, for the owner of the schema and for the application. */
interface StackDatabase {
  ownerUrl: string;
  databaseUrl: string;
  /**
   * The database role of the application. Setup grants the privileges of this role. Undefined if the settings contain a
   * database URL.
   */
  appRole?: string;
  /** PostgreSQL's data folder. Undefined if the settings contain a database URL. */
  postgresDataDir?: string;
}

/** Starts PostgreSQL, unless the settings contain a database URL. */
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
