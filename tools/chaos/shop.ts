import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openStore, type Store } from '../../src/store/index.js';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import type { Report } from '../terminal/report.js';
import type { Bundle } from '../replay/replay.js';
import { startTemporaryStack, type Addresses, type Stack } from '../stack/stack.js';
import type { SupervisedPart } from '../processes/supervisor.js';
import { startTemporaryCluster, type TemporaryCluster } from '../servers/temporal/temporary-cluster.js';
import type { ServerKind } from './command-line.js';
import { ProxiedLinks } from './links.js';
import type { KILLED } from './plan.js';

/** A shop whose processes can be killed and whose links can have faults; each part is one process. */
export interface FragileShop {
  /** Clients connect through a link, the auditor connects directly. */
  readonly addresses: Addresses;
  readonly parts: Record<(typeof KILLED)[number], SupervisedPart>;
  readonly links: ProxiedLinks;
  /** Client and store with full access, on direct connections without faults. */
  readonly client: Client;
  readonly store: Store;
  /** The bundle that the shop's worker runs. */
  readonly workflowBundle: Bundle;
  /** Resolves with the reason when a part fails and is not restarted. */
  readonly failed: Promise<Error>;
  /** Copies the logs of the shop's processes. */
  keepLogs(folder: string): Promise<void>;
  stop(): Promise<void>;
}

interface ShopOptions {
  server: ServerKind;
  report: Report;
  signal?: AbortSignal;
  /** An existing bundle to use instead of bundling the workflows again. */
  workflowBundle?: string;
}

/**
 * Starts a new shop: free ports, temporary folders, and commits that wait for the disk. On the full server, Temporal
 * keeps its state in the shop's PostgreSQL.
 *
 * @throws after it has stopped everything that it had started.
 */
export async function openFragileShop({ server, report, signal, workflowBundle }: ShopOptions): Promise<FragileShop> {
  const closing: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (let close = closing.pop(); close; close = closing.pop()) await close();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'faults-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const bundle = workflowBundle ?? (await bundleInto(folder));

    const links = new ProxiedLinks();
    closing.push(() => links.close());
    const throughLinks = links.through;
    let cluster: TemporaryCluster | undefined;
    if (server === 'full') {
      cluster = await startTemporaryCluster(report, { durable: true, throughLinks });
      closing.push(() => cluster!.stop());
      signal?.throwIfAborted();
    }
    const stack = await startTemporaryStack(
      {
        cluster: cluster?.cluster,
        // A parcel can be recalled only for a short moment before its pickup.
        carrierPickupSeconds: 0.3,
        carrierDeliverySeconds: 0.6,
        application: { WORKFLOW_BUNDLE: bundle },
      },
      { report, durable: true, workers: 1, apis: 1, throughLinks, ...(signal && { signal }) },
    );
    closing.push(() => stack.stop());

    const { addresses } = stack;
    const connection = await Connection.connect({ address: addresses.temporalAddress });
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
      parts: partsOf(stack, cluster),
      client: new Client({ connection, namespace: addresses.temporalNamespace }),
      failed: Promise.race([stack.failed, ...(cluster ? [cluster.failed] : [])]),
      async keepLogs(folder) {
        await cp(stack.logsDir, folder, { recursive: true });
        if (cluster) await cp(cluster.logsDir, folder, { recursive: true, filter: (path) => !/postgres$/.test(path) });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bundleInto(folder: string): Promise<string> {
  const file = join(folder, 'workflow-bundle.js');
  await writeFile(file, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
  return file;
}

function partsOf({ parts }: Stack, cluster: TemporaryCluster | undefined): FragileShop['parts'] {
  const { temporal, postgres } = Object.fromEntries<SupervisedPart>(cluster?.parts ?? parts);
  return { worker: parts.get('worker')!, api: parts.get('api')!, temporal: temporal!, postgres: postgres! };
}
