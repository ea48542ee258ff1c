import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.js';
import { startPostgres, type PostgresServer } from './postgres.js';
import type { Report } from './report.js';
import { loadSettings, type Settings } from './settings.js';
import { CLUSTER_CONNECTIONS, startTemporalCluster, type TemporalClusterOptions } from './temporal-cluster.js';
import { findTemporalPrograms, type TemporalPrograms } from './temporal-programs.js';

/** For the stacks and tests that share it, with their pools. */
const OTHER_CONNECTIONS = 300;

export interface TemporaryCluster {
  readonly programs: TemporalPrograms;
  /** For `startTemporaryStack`, or as CLUSTER_ADDRESS and CLUSTER_DATABASE_URL for another process. */
  readonly cluster: NonNullable<Settings['cluster']>;
  /** Processes of the servers; of PostgreSQL the one whose children the others are. */
  readonly pids: { temporal: number; postgres: number };
  stop(): Promise<void>;
}

interface TemporaryClusterOptions extends Pick<TemporalClusterOptions, 'historyShards' | 'security'> {
  durable?: boolean;
}

/**
 * The full Temporal server on PostgreSQL, for stacks and tests that share it: data that is gone when it stops, and that
 * nothing waits for the disk with, unless `durable`.
 *
 * @throws when there are no programs, or when one of the servers does not come up; nothing is left then.
 */
export async function startTemporaryCluster(
  report: Report,
  { durable = false, historyShards, security }: TemporaryClusterOptions = {},
): Promise<TemporaryCluster> {
  const programs = await findTemporalPrograms({ settings: loadSettings(), report });
  const folder = await mkdtemp(join(tmpdir(), 'temporal-cluster-'));
  let postgres: PostgresServer | undefined;
  const remove = async () => {
    await postgres?.destroy();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // As root PostgreSQL runs as somebody else, who has to get through to its own folder.
    await chmod(folder, 0o711);
    postgres = await startPostgres({
      ...{ dataDir: join(folder, 'postgres'), port: await freePort(), durable, report },
      maxConnections: CLUSTER_CONNECTIONS + OTHER_CONNECTIONS,
    });
    const server = await startTemporalCluster({
      ...{ programs, databaseUrl: postgres.url, folder },
      ...(historyShards !== undefined && { historyShards }),
      ...(security && { security }),
    });
    report.say(
      `Temporal server ${programs.version} (${programs.way}) serves on ${server.address}, its state is in PostgreSQL`,
    );
    return {
      programs,
      cluster: { address: server.address, databaseUrl: postgres.url },
      pids: { temporal: server.pid, postgres: postgres.pid },
      async stop() {
        await server.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
