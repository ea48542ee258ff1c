import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directPort, type PortMapper } from '../../stack/network-links.js';
import { freePort } from '../../processes/ports.js';
import { startPostgres, type PostgresServer } from '../postgres/postgres.js';
import type { Reporter } from '../../terminal/reporter.js';
import { loadSettings, type Settings } from '../../stack/settings/settings.js';
import { supervise, type SupervisedProcess } from '../../processes/supervisor.js';
import { CLUSTER_CONNECTIONS, freeServicePorts, startTemporalCluster, type TemporalClusterOptions } from './cluster.js';
import { findTemporalServerBinaries, type TemporalServerBinaries } from '../programs/temporal-server-binaries.js';

/** For the connection pools of the stacks and tests that share the cluster. */
const CLIENT_CONNECTIONS = 300;
const STOP_GRACE_MS = 30_000;

export interface TemporaryCluster {
  readonly binaries: TemporalServerBinaries;
  /** For `startTemporaryStack`, or as SHARED_TEMPORAL_ADDRESS and SHARED_DATABASE_URL for another process. */
  readonly sharedServers: NonNullable<Settings['sharedServers']>;
  /** Process ids of the servers; for PostgreSQL, that of the main process. */
  readonly pids: { temporal: number; postgres: number };
  /** The supervised processes, which are restarted when they end. */
  readonly processes: ReadonlyMap<'temporal' | 'postgres', SupervisedProcess>;
  /** The folder of the servers' logs. */
  readonly logsDir: string;
  /** Resolves with the reason when a process fails and is not restarted. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

interface TemporaryClusterOptions extends Pick<TemporalClusterOptions, 'historyShards' | 'security'> {
  durable?: boolean;
  /** The network link (proxy) on which the server reaches the database. Default: a direct connection. */
  mapPort?: PortMapper;
}

/**
 * Starts the full Temporal server on PostgreSQL, for stacks and tests that share it. Its data is deleted when it stops.
 * Commits do not wait for the disk, unless `durable`.
 *
 * @throws when the programs are not found or a server does not start, after it has stopped and deleted everything.
 */
export async function startTemporaryCluster(
  report: Reporter,
  { durable = false, historyShards, security, mapPort = directPort }: TemporaryClusterOptions = {},
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
    // When this process is root, PostgreSQL runs as another user, who must be able to traverse this folder.
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
      databasePort: await mapPort('Temporal to PostgreSQL', databasePort),
      ...(historyShards !== undefined && { historyShards }),
      ...(security && { security }),
    };
    const start = async () => (await startTemporalCluster(options)).process;
    parts.set('temporal', await supervise({ ...supervised, name: 'temporal', start }));
    const address = `127.0.0.1:${port}`;
    report.print(
      `Temporal server ${programs.version} (${programs.source}) serves on ${address}, its state is in PostgreSQL`,
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
