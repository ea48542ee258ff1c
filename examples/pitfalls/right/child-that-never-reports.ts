import { ChildWorkflowFailure } from '@temporalio/common';
import { executeChild, workflowInfo } from '@temporalio/workflow';
import { assertInStock } from '../stock.js';

/** Awaits the child workflow itself. The server reports every outcome of the child to the parent. */
export async function awaitChild(stock: number): Promise<'done' | 'failed'> {
  try {
    await executeChild(reserveStockOrFail, { workflowId: `${workflowInfo().workflowId}/1`, args: [stock] });
    return 'done';
  } catch (error) {
    if (error instanceof ChildWorkflowFailure) return 'failed';
    throw error;
  }
}

export async function reserveStockOrFail(stock: number): Promise<void> {
  assertInStock(stock);
}
