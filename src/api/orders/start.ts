import { isDeepStrictEqual } from 'node:util';
import type { Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { totalMismatchText, type Money } from '../../schemas/shared/money.js';
import type { OrderInput, OrderStatus } from '../../schemas/order.js';
import { hashContent } from '../../store/content-hash.js';
import type { Store } from '../../store/index.js';
import type { OrderRecord } from '../../store/orders/orders.js';
import { calculateTotal } from '../../store/products.js';
import { startOnce } from '../../temporal/client/start-once.js';
import type * as workflows from '../../workflows/index.js';
import {
  customerIdAttribute,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TASK_TIMEOUT,
  ORDER_WORKFLOW_TYPE,
  orderStatusAttribute,
  orderWorkflowId,
} from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { catchProblem } from '../problems/error-mapping.js';
import { httpProblem, HttpProblem } from '../problems/http-problem.js';
import { describeWorkflow, describeWorkflowOr404 } from '../temporal/describe-workflow.js';
import { statusOf } from './status.js';

/**
 * Starts an order. The order id is the idempotency key and never expires. A repeated request with the same input
 * returns the status of the existing order.
 *
 * @throws 409 when an order with this id has different content, or when the total differs from the expected total.
 */
export async function startOrder({ client, store }: Backends, input: OrderInput): Promise<OrderStatus> {
  const { orderId, customerId, expectedTotal } = input;
  const workflowId = orderWorkflowId(orderId);
  const idTakenProblem = () =>
    httpProblem('order-id-taken', `order ${orderId} already exists with different content`, { orderId });
  // If the store is unavailable, Temporal still detects a repeated order id within its retention period. The stock
  // reservation also compares the content.
  const record = await catchProblem('store-unavailable', () => store.findOrder(orderId));
  if (record && !(record instanceof HttpProblem)) {
    if (record.contentHash !== hashContent(input)) throw idTakenProblem();
    return await statusOfRecord(client, record);
  }
  if (expectedTotal && !(await describeWorkflow(client, { workflowId }))) {
    await assertTotal(store, input.lines, expectedTotal);
  }
  const type = ORDER_WORKFLOW_TYPE satisfies keyof typeof workflows;
  const result = await startOnce<(typeof workflows)[typeof type]>(client, type, input, {
    workflowId,
    taskQueue: ORDER_TASK_QUEUE,
    workflowTaskTimeout: ORDER_WORKFLOW_TASK_TIMEOUT,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: customerIdAttribute, value: customerId },
      { key: orderStatusAttribute, value: 'processing' },
    ]),
    staticSummary: `${input.lines.length} line(s) for ${customerId}`,
  });
  if (result === 'started') return 'processing';
  if (result === 'conflict') throw idTakenProblem();
  return statusOf(await describeWorkflowOr404(client, { workflowId }, `order ${orderId}`));
}

/**
 * The status of a recorded order. For an open order, reads the status from Temporal, because a terminated workflow does
 * not update the store. If Temporal is unavailable, returns the recorded status.
 */
async function statusOfRecord(client: Client, record: OrderRecord): Promise<OrderStatus> {
  if (record.outcome) return record.status;
  const execution = await catchProblem('temporal-unavailable', () =>
    describeWorkflow(client, { workflowId: orderWorkflowId(record.orderId) }),
  );
  if (execution instanceof HttpProblem) return record.status;
  return execution ? statusOf(execution) : 'failed';
}

/**
 * Checks the expected total before the workflow starts, so that the customer gets the 409 in the response. Skips the
 * check if a line cannot be priced. The stock reservation checks the total again, and its result is final.
 *
 * @throws 409 with both totals when the total of the catalogue prices differs from the expected total.
 */
async function assertTotal(store: Store, lines: OrderInput['lines'], expectedTotal: Money): Promise<void> {
  const skus = lines.map(({ sku }) => sku);
  const products = await catchProblem('store-unavailable', () => store.findProducts(skus));
  if (products instanceof HttpProblem) return;
  const calculated = calculateTotal(lines, products);
  if (calculated.status !== 'priced') return;
  const { total } = calculated;
  if (isDeepStrictEqual(total, expectedTotal)) return;
  throw httpProblem('price-changed', totalMismatchText(total, expectedTotal), { total, expectedTotal });
}
