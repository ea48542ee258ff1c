import { ChildWorkflowFailure } from '@temporalio/common';
import { executeChild, workflowInfo } from '@temporalio/workflow';
import { failsWithoutStock } from './stock.js';

/** Waits for the child workflow itself: the server reports every kind of end to the parent. */
export async function waitsForTheChild(stock: number): Promise<'done' | 'failed'> {
  try {
    await executeChild(takesStock, { workflowId: `${workflowInfo().workflowId}/1`, args: [stock] });
    return 'done';
  } catch (error) {
    if (error instanceof ChildWorkflowFailure) return 'failed';
    throw error;
  }
}

export async function takesStock(stock: number): Promise<void> {
  failsWithoutStock(stock);
}
