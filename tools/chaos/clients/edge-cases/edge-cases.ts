import { orderWorkflowId } from '../../../../src/workflows/order/contract.js';
import type { EdgeCase } from '../../client-log.js';
import { buyWithLateDelivery, buyWithForeignReport } from './deliveries.js';
import { buyWithExpiredKey } from './expired-keys.js';
import { buySmallAndReset, buyLargeAndReset, cancelAndReset } from './resets.js';
import type { DirectAccess, ClientSession } from '../client-session.js';

/** @returns `COMPLETE`, the reason that prevented the edge case, or undefined when the session ended first. */
type EdgeCaseScenario = (session: ClientSession, tools: DirectAccess) => Promise<string | undefined>;

/** Each edge case runs once in every run, whatever the seed. */
export const EDGE_CASES: Record<string, EdgeCaseScenario> = {
  'foreign report': buyWithForeignReport,
  'late delivery': buyWithLateDelivery,
  'expired key': buyWithExpiredKey,
  'reset after completion': buySmallAndReset,
  'reset after cancellation': cancelAndReset,
  'reset while awaiting approval': buyLargeAndReset,
};

/** Runs an edge case and records its outcome in the log. The auditor fails a run with an incomplete edge case. */
export async function runEdgeCase(
  name: string,
  session: ClientSession,
  tools: Pick<DirectAccess, 'client' | 'store'>,
): Promise<void> {
  const edgeCase: EdgeCase = { name };
  session.log.edgeCases.push(edgeCase);
  const isAbout = (orderId: string) => {
    edgeCase.workflowId = orderWorkflowId(orderId);
  };
  const outcome = await EDGE_CASES[name]!(session, { ...tools, setOrderId: isAbout });
  if (outcome !== undefined) edgeCase.outcome = outcome;
}
