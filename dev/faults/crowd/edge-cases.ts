import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { EdgeCase } from '../ledger.js';
import { buyFromALateCarrier, buyWithAForeignReport } from './deliveries.js';
import { buyWithAForgottenKey } from './old-keys.js';
import { buyAndReset, buyMuchAndReset, cancelAndReset } from './resets.js';
import type { Tools, Visit } from './visit.js';

/** @returns `COMPLETE`, what prevented the edge case, or undefined when the customer had to leave before. */
type Story = (visit: Visit, tools: Tools) => Promise<string | undefined>;

/** Each is played once in every run, whatever its seed. */
export const EDGE_CASES: Record<string, Story> = {
  'foreign report': buyWithAForeignReport,
  'late delivery': buyFromALateCarrier,
  'forgotten key': buyWithAForgottenKey,
  'reset after completion': buyAndReset,
  'reset after cancellation': cancelAndReset,
  'reset while awaiting approval': buyMuchAndReset,
};

/** Plays an edge case and records in the ledger what became of it: the auditor fails a run in which nothing did. */
export async function playEdgeCase(name: string, visit: Visit, tools: Pick<Tools, 'client' | 'store'>): Promise<void> {
  const edgeCase: EdgeCase = { name };
  visit.ledger.edgeCases.push(edgeCase);
  const isAbout = (orderId: string) => {
    edgeCase.workflowId = orderWorkflowId(orderId);
  };
  const outcome = await EDGE_CASES[name]!(visit, { ...tools, isAbout });
  if (outcome !== undefined) edgeCase.outcome = outcome;
}
