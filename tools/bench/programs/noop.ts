import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { startProcess, typescriptCommand } from '../../processes/processes.js';
import { unsetShellVariables } from '../../stack/settings/application-variables.js';
import { waitUntil } from '../../processes/wait.js';
import { ensureNamespace } from '../../../src/temporal/provisioning.js';
import { ORDER_TASK_QUEUE } from '../../../src/workflows/order/contract.js';
import type * as bareWorkflows from './noop.workflows.js';

const NOOP_NAMESPACE = 'bare';

type NoopWorkflow = keyof typeof bareWorkflows;

/** The baseline for the shop: workflows that do nothing, on a separate worker process with the shop's settings. */
export interface NoopWorker {
  bundlePath: string;
  /** Process id of the worker. */
  workerPid: number;
  client: Client;
  /** Runs one workflow to its end. */
  run: (type: NoopWorkflow) => Promise<WorkflowHandle>;
  stop: () => Promise<void>;
}

/** Starts the baseline in its own namespace, so that its task queues can have the same names as the shop's. */
export async function startNoopWorker(address: string): Promise<NoopWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-bare-'));
  const connection = await Connection.connect({ address });
  const stops = [() => connection.close(), () => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const each of stops) await each();
  };
  try {
    const bundle = join(folder, 'bare.js');
    await writeFile(bundle, await bundleNoopWorkflows());
    await ensureNamespace(connection, NOOP_NAMESPACE);
    let ready = false;
    const worker = await startProcess({
      name: 'bare worker',
      ...typescriptCommand('tools/bench/programs/noop-worker.ts'),
      env: { ...unsetShellVariables, ADDRESS: address, NAMESPACE: NOOP_NAMESPACE, BUNDLE: bundle },
      onLine: (line) => (ready ||= line === 'ready'),
    });
    stops.unshift(async () => void (await worker.stop()));
    await waitUntil(() => ready || undefined, { description: 'the bare worker polling', timeoutMs: 60_000 });
    const client = new Client({ connection, namespace: NOOP_NAMESPACE });
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

async function bundleNoopWorkflows(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('./noop.workflows.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  return code;
}
