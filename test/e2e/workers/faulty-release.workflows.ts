import { condition, getCurrentDetails, sleep } from '@temporalio/workflow';
import type { OrderInput, OrderView } from '../../../src/schemas/order.js';
import { order as runOrder } from '../../../src/workflows/order/workflow.js';

export * from '../../../src/workflows/index.js';

/**
 * The order workflow of a faulty release. It starts a timer, which the good release does not start, so that its histories
 * do not replay with the good release. After the shipment, each workflow task fails.
 */
export async function order(input: OrderInput): Promise<OrderView> {
  const result = runOrder(input);
  await sleep('10 milliseconds');
  await condition(() => getCurrentDetails().includes('awaiting_pickup'));
  await Promise.race([result, Promise.reject(new TypeError('the bug of this release'))]);
  return await result;
}
