import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../processes/ports.js';
import { startPostgres, type PostgresServer } from '../postgres/postgres.js';
import type { Reporter } from '../../terminal/reporter.js';
import { loadSettings, type Settings } from '../../settings/settings.js';
import { supervise, type SupervisedProcess } from '../../processes/supervisor.js';
import { CLUSTER_CONNECTIONS, freeServicePorts, startTemporalCluster, type TemporalClusterOptions } from './cluster.js';
import { findTemporalServerBinaries, type TemporalServerBinaries } from '../programs/temporal-server-binaries.js';

/** Number of database connections for the stacks and tests that share the cluster. */
const CLIENT_CONNECTIONS = 300;
const STOP_GRACE_MS = 30_000;

export interface TemporaryCluster {
  readonly binaries: TemporalServerBinaries;
  /**
   * The setting `sharedServers` of `startTemporaryStack`. Another process receives the setting as
   * SHARED_TEMPORAL_ADDRESS and SHARED_DATABASE_URL.
   */
  readonly sharedServers: NonNullable<Settings['sharedServers']>;
  /** Process ids of the Temporal server and of PostgreSQL's main process. */
  readonly pids: { temporal: number; postgres: number };
  /** The supervised processes. A process that exits is restarted. */
  readonly processes: ReadonlyMap<'temporal' | 'postgres', SupervisedProcess>;
  /** The folder that contains the logs of the servers. */
  readonly logsDir: string;
  /** Resolves with the error when a process fails and is not restarted. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

interface TemporaryClusterOptions extends Pick<TemporalClusterOptions, 'historyShards' | 'security'> {
  durable?: boolean;
  /** Returns the port that the server connects to instead of the given port. Default: a direct connection. */
  mapDatabasePort?: (port: number) => Promise<number>;
}

/**
 * Starts the full Temporal server on PostgreSQL, for stacks and tests that share it. Stopping the cluster deletes its
 * data. Commits do not wait for the disk unless `durable` is set.
 *
 * @throws when a program is missing or a server does not start. In both cases, everything that was started is stopped
 * and deleted first.
 */
export async function startTemporaryCluster(
  report: Reporter,
  { durable = false, historyShards, security, mapDatabasePort = async (port) => port }: TemporaryClusterOptions = {},
): Promise<TemporaryCluster> {
  const programs = await findTemporalServerBinaries({ settings: loadSettings(), report });
  const folder = await mkdtemp(join(tmpdir(), 'temporal-cluster-'));
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (fail = resolve));
  const parts = new Map<'temporal' | 'postgres', SupervisedProcess>();
  let database: PostgresServer | undefined;
  const stop = async () => {
    for (const name of ['temporal', 'postgres'] as const) await parts.get(name)?.stop(STOP_GRACE_MS);
    await database?.destroy();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // When this process is root, PostgreSQL runs as another user, who must be able to enter this folder.
    await chmod(folder, 0o711);
    const databasePort = await freePort();
    const startDatabase = () =>
      startPostgres({
        dataDir: join(folder, 'postgres'),
        port: databasePort,
        durable,
        report,
        maxConnections: CLUSTER_CONNECTIONS + CLIENT_CONNECTIONS,
        logFile: join(folder, 'postgres.log'),
      });
    const supervised = { report, mayRestart: () => true, onFailure: fail };
    parts.set(
      'postgres',
      await supervise({
        ...supervised,
        name: 'postgres',
        start: async () => (database = await startDatabase()).process,
      }),
    );
    const { url: databaseUrl } = database!;
    const port = await freePort();
    const options: TemporalClusterOptions = {
      programs,
      databaseUrl,
      folder,
      port,
      servicePorts: await freeServicePorts(),
      databasePort: await mapDatabasePort(databasePort),
      ...(historyShards !== undefined && { historyShards }),
      ...(security && { security }),
    };
    const start = async () => (await startTemporalCluster(options)).process;
    parts.set('temporal', await supervise({ ...supervised, name: 'temporal', start }));
    const address = `127.0.0.1:${port}`;
    report.print(
      `Temporal server ${programs.version} (${programs.source}) serves on ${address} with its state in PostgreSQL`,
    );
    return {
      binaries: programs,
      processes: parts,
      failed,
      stop,
      logsDir: folder,
      sharedServers: { address, databaseUrl },
      get pids() {
        return { temporal: parts.get('temporal')!.current.pid, postgres: parts.get('postgres')!.current.pid };
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
