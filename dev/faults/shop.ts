import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openStore, type Store } from '../../src/store/index.js';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import type { Report } from '../report.js';
import type { Bundle } from '../replay/replay.js';
import { startTemporaryStack, type Addresses, type Stack } from '../stack.js';
import type { SupervisedPart } from '../supervisor.js';
import { startTemporaryCluster, type TemporaryCluster } from '../temporary-cluster.js';
import type { ServerKind } from './command-line.js';
import { ProxiedLinks } from './links.js';
import type { KILLED } from './plan.js';

/** A shop whose processes can be killed and whose links can be made bad ones; each part is one process. */
export interface FragileShop {
  /** Clients come through a link, an auditor comes straight. */
  readonly addresses: Addresses;
  readonly parts: Record<(typeof KILLED)[number], SupervisedPart>;
  readonly links: ProxiedLinks;
  /** As somebody who may see everything, on links that nothing is done to. */
  readonly client: Client;
  readonly store: Store;
  /** What its worker runs. */
  readonly workflowBundle: Bundle;
  /** Settles with the reason when a part has failed for good. */
  readonly failed: Promise<Error>;
  /** Copies what its processes wrote. */
  keepLogs(folder: string): Promise<void>;
  stop(): Promise<void>;
}

interface ShopOptions {
  server: ServerKind;
  report: Report;
  signal?: AbortSignal;
  /** Made before, by somebody who has it. */
  workflowBundle?: string;
}

/**
 * Opens a shop of its own: free ports, temporary folders, and data that waits for the disk. On the full server Temporal
 * keeps its state in the same PostgreSQL as the shop.
 *
 * @throws after having stopped whatever was started.
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
        // A parcel is on its way for a moment in which it can be called back, and no longer than that.
        ...{ carrierPickupSeconds: 0.3, carrierDeliverySeconds: 0.6 },
        application: { WORKFLOW_BUNDLE: bundle },
      },
      { report, durable: true, workers: 1, apis: 1, throughLinks, ...(signal && { signal }) },
    );
    closing.push(() => stack.stop());

    const { addresses } = stack;
    const connection = await Connection.connect({ address: addresses.temporalAddress });
    closing.push(() => connection.close());
    const store = openStore({
      ...{ databaseUrl: addresses.ownerDatabaseUrl, maxConnections: 4, onIdleError: () => undefined },
    });
    closing.push(() => store.close());
    return {
      ...{ addresses, links, store, stop, workflowBundle: { codePath: bundle } },
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
