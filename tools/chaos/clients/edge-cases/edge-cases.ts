import { orderWorkflowId } from '../../../../src/workflows/order/contract.js';
import type { EdgeCase } from '../../client-log.js';
import { buyWithLateDelivery, buyWithForeignReport } from './deliveries.js';
import { buyWithExpiredKey } from './expired-keys.js';
import { buySmallAndReset, buyLargeAndReset, cancelAndReset } from './resets.js';
import type { DirectAccess, ClientSession } from '../client-session.js';

/** @returns `COMPLETE`, the reason why the edge case could not happen, or undefined when the session ended first. */
type EdgeCaseScenario = (session: ClientSession, access: DirectAccess) => Promise<string | undefined>;

/** The edge cases. Every run with direct access runs each of them once, with any seed. */
export const EDGE_CASES: Record<string, EdgeCaseScenario> = {
  'foreign report': buyWithForeignReport,
  'late delivery': buyWithLateDelivery,
  'expired key': buyWithExpiredKey,
  'reset after completion': buySmallAndReset,
  'reset after cancellation': cancelAndReset,
  'reset while awaiting approval': buyLargeAndReset,
};

/** Runs an edge case and records its outcome in the log. An incomplete edge case is a violation in the audit. */
export async function runEdgeCase(
  name: string,
  session: ClientSession,
  access: Pick<DirectAccess, 'client' | 'store'>,
): Promise<void> {
  const edgeCase: EdgeCase = { name };
  session.log.edgeCases.push(edgeCase);
  const setOrderId = (orderId: string) => {
    edgeCase.workflowId = orderWorkflowId(orderId);
  };
  const outcome = await EDGE_CASES[name]!(session, { ...access, setOrderId });
  if (outcome !== undefined) edgeCase.outcome = outcome;
}
