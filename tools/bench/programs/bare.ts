import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { startProcess, typescript } from '../../processes/processes.js';
import { nothingOfTheShell } from '../../stack/settings.js';
import { waitUntil } from '../../processes/wait.js';
import { ensureNamespace } from '../../../src/temporal/namespace.js';
import { ORDER_TASK_QUEUE } from '../../../src/workflows/order/contract.js';
import type * as bareWorkflows from './bare.workflows.js';

const NAMESPACE = 'bare';

type BareWorkflow = keyof typeof bareWorkflows;

/** The baseline for the shop: workflows that do nothing, on a separate worker process with the shop's settings. */
export interface Bare {
  bundle: string;
  /** Process id of the worker. */
  pid: number;
  client: Client;
  /** Runs one workflow to its end. */
  run: (type: BareWorkflow) => Promise<WorkflowHandle>;
  stop: () => Promise<void>;
}

/** Starts the baseline in its own namespace, so that its task queues can have the same names as the shop's. */
export async function startBare(address: string): Promise<Bare> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-bare-'));
  const connection = await Connection.connect({ address });
  const stops = [() => connection.close(), () => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const each of stops) await each();
  };
  try {
    const bundle = join(folder, 'bare.js');
    await writeFile(bundle, await bareBundle());
    await ensureNamespace(connection, NAMESPACE);
    let ready = false;
    const worker = await startProcess({
      name: 'bare worker',
      ...typescript('tools/bench/programs/bare-worker.ts'),
      env: { ...nothingOfTheShell, ADDRESS: address, NAMESPACE, BUNDLE: bundle },
      onLine: (line) => (ready ||= line === 'ready'),
    });
    stops.unshift(async () => void (await worker.stop()));
    await waitUntil(() => ready || undefined, { what: 'the bare worker polling', deadlineMs: 60_000 });
    const client = new Client({ connection, namespace: NAMESPACE });
    const run = async (type: BareWorkflow) => {
      const handle = await client.workflow.start(type, { workflowId: randomUUID(), taskQueue: ORDER_TASK_QUEUE });
      await handle.result();
      return handle;
    };
    return { bundle, pid: worker.pid, client, run, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bareBundle(): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('./bare.workflows.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  return code;
}
