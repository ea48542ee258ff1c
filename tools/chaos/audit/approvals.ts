import { approvalIdOfOrder, type ApprovalView } from '../../../src/schemas/approval.js';
import { approvalIdOf, approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { orderIdOf } from '../../../src/workflows/order/contract.js';
import type { AskedApproval, Ledger } from '../ledger.js';
import type { Evidence } from './evidence.js';
import { isOrder } from './executions.js';
import { isPossible, isPromised, type Findings } from './findings.js';

/** Checks that every approval has at most one decision, that a caller made it, and that every response names it. */
export function auditApprovals(ledger: Ledger, evidence: Evidence, findings: Findings): void {
  for (const asked of ledger.approvals) auditApproval(asked, ledger, evidence, findings);

  const known = new Set(ledger.approvals.map(({ approvalId }) => approvalId));
  const ofOrders = new Set(
    evidence.runs.filter(isOrder).map(({ workflowId }) => approvalIdOfOrder(orderIdOf(workflowId))),
  );
  for (const { workflowId, type } of evidence.runs) {
    const approvalId = approvalIdOf(workflowId);
    if (type !== 'approval' || known.has(approvalId)) continue;
    // The approval of an order, which nobody has decided.
    if (ofOrders.has(approvalId)) auditApproval({ approvalId, decisions: [] }, ledger, evidence, findings);
    else findings.violate(workflowId, 'is there, and nobody asked for it');
  }
}

function auditApproval(
  { approvalId, of, decisions }: Pick<AskedApproval, 'approvalId' | 'decisions'> & Partial<AskedApproval>,
  ledger: Ledger,
  evidence: Evidence,
  findings: Findings,
): void {
  const workflowId = approvalWorkflowId(approvalId);
  const request = of && 'request' in of ? [of.request] : [];
  for (const asked of [...request, ...decisions]) findings.compareAnswers(workflowId, asked);
  if (isPromised(decisions)) findings.accepted.decisions += 1;

  const [run, ...more] = evidence.runsOf(workflowId);
  if (!run) {
    if (isPromised([...request, ...decisions]))
      findings.lose(workflowId, 'was accepted, and there is no such question');
    return;
  }
  if (request.length > 0 && !isPossible(request)) findings.violate(workflowId, 'is there, and was refused');
  if (more.length > (ledger.resets.includes(workflowId) ? 1 : 0))
    findings.double(workflowId, `ran ${more.length + 1} times`);
  const view = evidence.viewOf<ApprovalView>(workflowId);
  if (view?.decision) findings.effects.decisions += 1;
  if (findings.reported.includes(workflowId)) return;
  if (!view || !['COMPLETED', 'CANCELLED'].includes(run.status)) {
    findings.violate(workflowId, `is ${run.status.toLowerCase()}, and that is no end`);
    return;
  }
  auditDecision(workflowId, view, decisions, findings);
}

const STATUS_BY_DECISION = { approve: 'approved', reject: 'rejected' } as const;

function auditDecision(
  workflowId: string,
  { decision: made, status, trail }: ApprovalView,
  decisions: AskedApproval['decisions'],
  findings: Findings,
): void {
  const counted = trail.filter(({ event }) => event === 'decided').length;
  if (counted > 1) findings.double(workflowId, `was decided ${counted} times`);
  if (!made) {
    if (isPromised(decisions)) findings.lose(workflowId, `took a decision, and is ${status} without one`);
    return;
  }
  const said = `${made.approver}: ${made.decision}`;
  if (status !== STATUS_BY_DECISION[made.decision])
    findings.violate(workflowId, `was decided (${said}), and is ${status}`);
  const isSame = (asked: AskedApproval['decisions'][number]) => `${asked.approver}: ${asked.decision}` === said;
  if (!decisions.some((asked) => isSame(asked) && asked.fate !== 'refused'))
    findings.violate(workflowId, `was decided (${said}), and nobody who decided so was told that it counts`);
  // Only API decisions count here: an accepted callback does not promise that its decision counts.
  for (const asked of decisions.filter(({ via, fate }) => via === 'api' && fate === 'accepted')) {
    if (!isSame(asked) || asked.answers.some((answer) => answer !== said))
      findings.violate(
        workflowId,
        `was decided (${said}); ${asked.approver}, who said ${asked.decision}, was told ${asked.answers.join(' | ')}`,
      );
  }
}
