import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { openConnection } from '../../../src/temporal/connections.js';
import { bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import type { Stack } from '../../stack/stack.js';
import { runOrderByClient } from '../load/orders.js';
import { startExtraWorker } from '../measure/extra-process.js';
import type { OrderEngine } from './peers.js';

/** The orders of this project. The worker of the stack is replaced by one that the bench can kill. */
export async function startTemporalEngine(stack: Stack): Promise<OrderEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-temporal-'));
  const bundle = join(folder, 'workflow-bundle.js');
  await writeFile(bundle, (await bundleWorkflows(new DefaultLogger('WARN'))).code);
  const connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
  const client = new Client({ connection });
  await stack.processes.get('worker')!.stop();
  const env = { WORKFLOW_BUNDLE: bundle };
  let worker = await startExtraWorker(stack, env);
  return {
    fakesUrl: new URL(stack.addresses.paymentsUrl).origin,
    async run({ orderId, sku, token }) {
      const { status } = await runOrderByClient(client, {
        orderId,
        customerId: 'bench',
        lines: [{ sku, quantity: 1 }],
        payment: { token },
      });
      return status === 'completed' ? 'completed' : 'declined';
    },
    async killAndRestart() {
      worker.process.kill('SIGKILL');
      await worker.process.exited;
      worker = await startExtraWorker(stack, env);
    },
    async stop() {
      await worker.process.stop();
      await connection.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
