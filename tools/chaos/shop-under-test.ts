import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openConnection } from '../../src/temporal/connections.js';
import { openStore, type Store } from '../../src/store/index.js';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import type { Reporter } from '../terminal/reporter.js';
import type { Bundle } from '../replay/replay-histories.js';
import { startTemporaryStack } from '../stack/temporary-stack.js';
import type { StackAddresses, Stack } from '../stack/stack.js';
import type { SupervisedProcess } from '../processes/supervisor.js';
import { startTemporaryCluster, type TemporaryCluster } from '../servers/temporal/temporary-cluster.js';
import type { ServerKind } from './command-line.js';
import { ProxiedLinks } from './faults/proxied-links.js';
import type { KillableProcess } from '../stack/kill-process.js';

/**
 * A running shop for fault injection: its processes can be killed, and its network links can have faults. It has one
 * process of each kind.
 */
export interface ShopUnderTest {
  /** Clients connect to the API through a proxied link. */
  readonly addresses: StackAddresses;
  readonly processes: Record<KillableProcess, SupervisedProcess>;
  readonly links: ProxiedLinks;
  /** A Temporal client and a store for the auditor. They have full access and connect directly, without faults. */
  readonly client: Client;
  readonly store: Store;
  /** The workflow bundle of the shop's worker. */
  readonly workflowBundle: Bundle;
  /** Resolves with an error when a process fails and its supervisor does not restart it. */
  readonly failure: Promise<Error>;
  /** Copies the logs of the shop's processes. */
  copyLogs(folder: string): Promise<void>;
  stop(): Promise<void>;
}

interface ShopUnderTestOptions {
  server: ServerKind;
  report: Reporter;
  signal?: AbortSignal;
  /** The path of an existing bundle. Default: a new bundle of the workflows. */
  workflowBundle?: string;
}

/**
 * Starts a shop with free ports, temporary folders and commits that wait for the disk. With the full server, Temporal
 * stores its state in the shop's PostgreSQL.
 *
 * @throws when the shop does not start. Everything that was started is stopped first.
 */
export async function startShopUnderTest({
  server,
  report,
  signal,
  workflowBundle,
}: ShopUnderTestOptions): Promise<ShopUnderTest> {
  const closing: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (let close = closing.pop(); close; close = closing.pop()) await close();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'faults-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const bundle = workflowBundle ?? (await writeWorkflowBundle(folder));

    const links = new ProxiedLinks();
    closing.push(() => links.close());
    const { mapPort } = links;
    let cluster: TemporaryCluster | undefined;
    if (server === 'full') {
      cluster = await startTemporaryCluster(report, {
        durable: true,
        mapDatabasePort: (port) => mapPort('Temporal to PostgreSQL', port),
      });
      closing.push(() => cluster!.stop());
      signal?.throwIfAborted();
    }
    const stack = await startTemporaryStack(
      {
        sharedServers: cluster?.sharedServers,
        // With this short pickup time, a cancellation can come before or after the pickup.
        carrierPickupSeconds: 0.3,
        carrierDeliverySeconds: 0.6,
        // The reconciliation checks every order at once, also orders that have just changed.
        applicationEnv: { WORKFLOW_BUNDLE: bundle, RECONCILE_AFTER_MINUTES: '0' },
      },
      { report, durable: true, workerCount: 1, apiCount: 1, mapPort, ...(signal && { signal }) },
    );
    closing.push(() => stack.stop());

    const { addresses } = stack;
    const connection = await openConnection({ TEMPORAL_ADDRESS: addresses.temporalAddress });
    closing.push(() => connection.close());
    const store = openStore({
      databaseUrl: addresses.ownerDatabaseUrl,
      maxConnections: 4,
      onIdleError: () => undefined,
    });
    closing.push(() => store.close());
    return {
      addresses,
      links,
      store,
      stop,
      workflowBundle: { codePath: bundle },
      processes: processesByName(stack, cluster),
      client: new Client({ connection, namespace: addresses.temporalNamespace }),
      failure: Promise.race([stack.failed, ...(cluster ? [cluster.failed] : [])]),
      async copyLogs(folder) {
        await cp(stack.logsDir, folder, { recursive: true });
        if (cluster) await cp(cluster.logsDir, folder, { recursive: true, filter: (path) => !/postgres$/.test(path) });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeWorkflowBundle(folder: string): Promise<string> {
  const file = join(folder, 'workflow-bundle.js');
  await writeFile(file, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
  return file;
}

function processesByName({ processes }: Stack, cluster: TemporaryCluster | undefined): ShopUnderTest['processes'] {
  const { temporal, postgres } = Object.fromEntries<SupervisedProcess>(cluster?.processes ?? processes);
  return { worker: processes.get('worker')!, api: processes.get('api')!, temporal: temporal!, postgres: postgres! };
}
