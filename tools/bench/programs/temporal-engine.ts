import { Client } from '@temporalio/client';
import { openConnection } from '../../../src/temporal/connections.js';
import { buildSources } from '../../source-build/source-build.js';
import type { Stack } from '../../stack/stack.js';
import { runOrderByClient } from '../load/orders.js';
import { startExtraWorker } from '../measure/extra-process.js';
import type { OrderEngine } from './peers.js';

/** The orders of this project. The worker of the stack is replaced by one that the bench can kill. */
export async function startTemporalEngine(stack: Stack): Promise<OrderEngine> {
  const connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
  const client = new Client({ connection });
  await stack.processes.get('worker')!.stop();
  const env = { WORKFLOW_BUNDLE: (await buildSources()).workflowBundle };
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
    },
  };
}
