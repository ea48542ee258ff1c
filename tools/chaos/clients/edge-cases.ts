import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { EdgeCase } from '../ledger.js';
import { buyFromALateCarrier, buyWithAForeignReport } from './deliveries.js';
import { buyWithAForgottenKey } from './old-keys.js';
import { buyAndReset, buyMuchAndReset, cancelAndReset } from './resets.js';
import type { Tools, Visit } from './visit.js';

/** @returns `COMPLETE`, the reason that prevented the edge case, or undefined when the visit ended first. */
type Story = (visit: Visit, tools: Tools) => Promise<string | undefined>;

/** Each edge case runs once in every run, whatever the seed. */
export const EDGE_CASES: Record<string, Story> = {
  'foreign report': buyWithAForeignReport,
  'late delivery': buyFromALateCarrier,
  'forgotten key': buyWithAForgottenKey,
  'reset after completion': buyAndReset,
  'reset after cancellation': cancelAndReset,
  'reset while awaiting approval': buyMuchAndReset,
};

/** Runs an edge case and records its outcome in the ledger. The auditor fails a run with an incomplete edge case. */
export async function playEdgeCase(name: string, visit: Visit, tools: Pick<Tools, 'client' | 'store'>): Promise<void> {
  const edgeCase: EdgeCase = { name };
  visit.ledger.edgeCases.push(edgeCase);
  const isAbout = (orderId: string) => {
    edgeCase.workflowId = orderWorkflowId(orderId);
  };
  const outcome = await EDGE_CASES[name]!(visit, { ...tools, isAbout });
  if (outcome !== undefined) edgeCase.outcome = outcome;
}
