import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { describe, inject } from 'vitest';
import { freePort } from '../../dev/ports.js';
import { startTemporalServer } from '../../dev/temporal-server.js';
import { ensureNamespace, ensureSearchAttributes } from '../../src/namespace.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal.js';
import type { TemporalServer } from './shop.js';

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

/** A real Temporal server of the caller's own, in memory: it has visibility, and time passes at its own pace. */
export async function startDevServer({
  port,
  dynamicConfig = [],
}: { port?: number; dynamicConfig?: readonly string[] } = {}): Promise<DevServer> {
  const server = await startTemporalServer({
    cli: temporalCli(),
    port: port ?? (await freePort()),
    namespace: NAMESPACE,
    dynamicConfig,
  });
  const { address } = server;
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });

  async function inNamespace(namespace: string): Promise<TemporalServer> {
    await ensureNamespace(connection, namespace);
    await ensureSearchAttributes(connection, namespace, SEARCH_ATTRIBUTES);
    return { client: new Client({ connection, namespace }), nativeConnection, namespace, close: async () => undefined };
  }

  return {
    ...(await inNamespace(NAMESPACE)),
    address,
    inNamespace,
    async close() {
      await nativeConnection.close();
      await connection.close();
      await server.stop();
    },
  };
}
