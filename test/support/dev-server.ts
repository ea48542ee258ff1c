import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { describe, inject } from 'vitest';
import { freePort } from '../../dev/ports.js';
import { startTemporalServer } from '../../dev/temporal-server.js';
import { ensureNamespace, ensureSearchAttributes } from '../../src/temporal/namespace.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/search-attributes.js';
import { replayOpen } from './replays.js';
import type { TemporalServer } from './shop.js';
import './watched-workers.js';

const NAMESPACE = 'default';

export interface DevServer extends TemporalServer {
  /** `host:port`, for other processes: a worker, the `temporal` program. */
  address: string;
  /** The same server in another namespace, where nobody else's workers are. It closes with the server. */
  inNamespace: (namespace: string) => Promise<TemporalServer>;
}

/** Like `describe`, for tests on the real server; without one they are skipped and the title says why. */
export const describeOnDevServer = Object.assign(
  (title: string, define: () => void) => onDevServer(describe, title, define),
  { concurrent: (title: string, define: () => void) => onDevServer(describe.concurrent, title, define) },
);

function onDevServer(suite: typeof describe | typeof describe.concurrent, title: string, define: () => void): void {
  const found = inject('temporalCli');
  if ('missing' in found) suite.skip(`${title} (skipped, there is no Temporal dev server: ${found.missing})`, define);
  else suite(title, define);
}

/** The `temporal` program. */
export function temporalCli(): string {
  const found = inject('temporalCli');
  if ('missing' in found) throw new Error(found.missing);
  return found.path;
}

interface DevServerOptions {
  port?: number;
  /** `key=value`, as the server's flag takes them. */
  dynamicConfig?: readonly string[];
}

/**
 * A real Temporal server of the caller's own, in memory: it has visibility, and time passes at its own pace. In a run on
 * a cluster, a namespace of the caller's own there. One whose port or configuration is given is always the caller's own.
 */
export async function startDevServer(options: DevServerOptions = {}): Promise<DevServer> {
  const shared = Object.keys(options).length === 0 ? inject('clusterAddress') : undefined;
  const own = shared === undefined ? await startOwn(options) : undefined;
  const address = shared ?? own!.address;
  const connection = await Connection.connect({ address });
  const replicas = own ? 1 : inject('replicas');
  const [nativeConnection, ...moreConnections] = (await Promise.all(
    Array.from({ length: replicas }, () => NativeConnection.connect({ address })),
  )) as [NativeConnection, ...NativeConnection[]];

  async function inNamespace(namespace: string): Promise<TemporalServer> {
    await ensureNamespace(connection, namespace);
    await ensureSearchAttributes(connection, namespace, SEARCH_ATTRIBUTES);
    const client = new Client({ connection, namespace });
    return { client, nativeConnection, moreConnections, namespace, close: async () => undefined };
  }

  return {
    ...(await inNamespace(own ? NAMESPACE : `test-${randomUUID()}`)),
    address,
    inNamespace,
    async close() {
      await replayOpen();
      for (const each of [nativeConnection, ...moreConnections]) await each.close();
      await connection.close();
      await own?.stop();
    },
  };
}

async function startOwn({ port, dynamicConfig = [] }: DevServerOptions) {
  const where = { cli: temporalCli(), port: port ?? (await freePort()) };
  return await startTemporalServer({ ...where, namespace: NAMESPACE, dynamicConfig });
}
