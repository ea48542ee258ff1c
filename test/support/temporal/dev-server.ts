import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { describe, inject } from 'vitest';
import { freePort } from '../processes.js';
import { startTemporalDevServer } from '../../../tools/servers/temporal/temporal-dev-server.js';
import { openConnection } from '../../../src/temporal/connections.js';
import { ensureNamespace, ensureSearchAttributes } from '../../../src/temporal/provisioning.js';
import { SEARCH_ATTRIBUTES } from '../../../src/temporal/search-attributes.js';
import { replayOpenRuns } from '../replay/run-tracker.js';
import type { TemporalServer } from '../shop/shop.js';
import '../replay/track-workers.js';

const NAMESPACE = 'default';

export interface DevServer extends TemporalServer {
  /** The address `host:port`, for other processes such as a worker or the `temporal` program. */
  address: string;
  /** The connection of the clients of this server. */
  connection: Connection;
  /**
   * Opens a new namespace on the same server, so that workers of other tests do not take its tasks. Closing the server
   * also closes the namespace.
   */
  openNamespace: (namespace: string) => Promise<TemporalServer>;
}

/**
 * Like `describe`, for tests that need a real Temporal server. If the server is missing, the tests are skipped and the
 * title gives the reason.
 */
export const describeOnDevServer = Object.assign(
  (title: string, define: () => void) => defineOnDevServer(describe, title, define),
  { concurrent: (title: string, define: () => void) => defineOnDevServer(describe.concurrent, title, define) },
);

function defineOnDevServer(
  suite: typeof describe | typeof describe.concurrent,
  title: string,
  define: () => void,
): void {
  const found = inject('temporalCli');
  if ('missing' in found) suite.skip(`${title} (skipped: ${found.missing})`, define);
  else suite(title, define);
}

/** Returns the path of the `temporal` program. */
export function temporalCliPath(): string {
  const found = inject('temporalCli');
  if ('missing' in found) throw new Error(found.missing);
  return found.path;
}

interface DevServerOptions {
  port?: number;
  /** Settings in the form `key=value`, for the server's flag `--dynamic-config-value`. */
  dynamicConfig?: readonly string[];
}

/**
 * Starts a new Temporal dev server in memory, with visibility and without time skipping. In a run on a cluster, it
 * creates a namespace on the cluster instead, unless `options` is set.
 */
export async function startDevServer(options: DevServerOptions = {}): Promise<DevServer> {
  const shared = Object.keys(options).length === 0 ? inject('clusterAddress') : undefined;
  return await connectToServer(shared ?? (await startLocalServer(options)));
}

/** A server that the test file started. */
interface OwnServer {
  address: string;
  stop: () => Promise<void>;
}

/** Opens a namespace on a server: on the server of the test file, or on the shared server with this address. */
export async function connectToServer(server: OwnServer | string): Promise<DevServer> {
  const own = typeof server === 'string' ? undefined : server;
  const address = typeof server === 'string' ? server : server.address;
  const connection = await openConnection({ TEMPORAL_ADDRESS: address });
  const replicas = own ? 1 : inject('replicas');
  const [nativeConnection, ...moreConnections] = (await Promise.all(
    Array.from({ length: replicas }, () => NativeConnection.connect({ address })),
  )) as [NativeConnection, ...NativeConnection[]];

  async function openNamespace(namespace: string): Promise<TemporalServer> {
    await ensureNamespace(connection, namespace);
    await ensureSearchAttributes(connection, namespace, SEARCH_ATTRIBUTES);
    const client = new Client({ connection, namespace });
    return { client, nativeConnection, moreConnections, namespace, close: async () => undefined };
  }

  return {
    ...(await openNamespace(own ? NAMESPACE : `test-${randomUUID()}`)),
    address,
    connection,
    openNamespace,
    async close() {
      await replayOpenRuns();
      for (const each of [nativeConnection, ...moreConnections]) await each.close();
      await connection.close();
      await own?.stop();
    },
  };
}

async function startLocalServer({ port, dynamicConfig = [] }: DevServerOptions) {
  return await startTemporalDevServer({
    cliPath: temporalCliPath(),
    port: port ?? (await freePort()),
    namespace: NAMESPACE,
    dynamicConfig,
  });
}
