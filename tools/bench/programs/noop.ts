import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { openConnection } from '../../../src/temporal/connections.js';
import { startProcess, typescriptCommand } from '../../processes/processes.js';
import { unsetShellVariables } from '../../settings/application-variables.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { ensureNamespace, ensureSearchAttributes } from '../../../src/temporal/provisioning.js';
import { SEARCH_ATTRIBUTES } from '../../../src/temporal/search-attributes.js';
import { ORDER_TASK_QUEUE } from '../../../src/workflows/order/contract.js';
import { PARCEL_MOVED } from './noop-signals.js';
import type * as noopWorkflows from './noop.workflows.js';

const NOOP_NAMESPACE = 'noop';

type NoopWorkflow = keyof typeof noopWorkflows;

/** The baseline for the shop: a separate worker process with the shop's settings. Its workflows do nothing. */
export interface NoopWorker {
  bundlePath: string;
  /** The process id of the worker. */
  workerPid: number;
  client: Client;
  /** Runs a workflow and waits for its result. */
  run: (type: NoopWorkflow) => Promise<WorkflowHandle>;
  stop: () => Promise<void>;
}

/**
 * Starts the baseline worker in its own namespace, so that its task queues can have the same names as the task queues
 * of the shop.
 */
export async function startNoopWorker(address: string): Promise<NoopWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-noop-'));
  const connection = await openConnection({ TEMPORAL_ADDRESS: address });
  const stops = [() => connection.close(), () => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const each of stops) await each();
  };
  try {
    const bundle = join(folder, 'noop.js');
    await writeFile(bundle, await bundleNoopWorkflows());
    await ensureNamespace(connection, NOOP_NAMESPACE);
    await ensureSearchAttributes(connection, NOOP_NAMESPACE, SEARCH_ATTRIBUTES);
    const client = new Client({ connection, namespace: NOOP_NAMESPACE });
    let isReady = false;
    const worker = await startProcess({
      name: 'no-op worker',
      ...typescriptCommand('tools/bench/programs/noop-worker.ts'),
      env: { ...unsetShellVariables, ADDRESS: address, NAMESPACE: NOOP_NAMESPACE, BUNDLE: bundle },
      onLine: (line) => {
        isReady ||= line === 'ready';
        const [, moved] = /^move (\S+)$/.exec(line) ?? [];
        if (moved !== undefined) void sendMoves(client, moved);
      },
    });
    stops.unshift(async () => void (await worker.stop()));
    await waitUntilReady(worker, () => isReady || undefined, {
      description: 'readiness of the no-op worker',
      timeoutMs: 60_000,
    });
    const run = async (type: NoopWorkflow) => {
      const handle = await client.workflow.start(type, { workflowId: randomUUID(), taskQueue: ORDER_TASK_QUEUE });
      await handle.result();
      return handle;
    };
    return { bundlePath: bundle, workerPid: worker.pid, client, run, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Sends the two signals of an `orderSkeleton`, like a carrier whose pickup and delivery take no time. */
async function sendMoves(client: Client, workflowId: string): Promise<void> {
  const handle = client.workflow.getHandle(workflowId);
  await handle.signal(PARCEL_MOVED);
  await handle.signal(PARCEL_MOVED);
}

async function bundleNoopWorkflows(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('./noop.workflows.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  return code;
}
