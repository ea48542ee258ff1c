import { approvalIdOfOrder, type ApprovalView } from '../../../src/schemas/approval.js';
import { approvalIdOf, approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { orderIdOf } from '../../../src/workflows/order/contract.js';
import type { LoggedApproval, ClientLog } from '../client-log.js';
import type { Evidence } from './evidence.js';
import { isOrderRun } from './runs.js';
import { isAnyPossible, isAnyAccepted, type Findings } from './findings.js';

/**
 * Checks that every approval has at most one decision, that a client made this decision, and that every response to a
 * decision shows it.
 */
export function auditApprovals(log: ClientLog, evidence: Evidence, findings: Findings): void {
  for (const approval of log.approvals) auditApproval(approval, log, evidence, findings);

  const known = new Set(log.approvals.map(({ approvalId }) => approvalId));
  const ofOrders = new Set(
    evidence.runs.filter(isOrderRun).map(({ workflowId }) => approvalIdOfOrder(orderIdOf(workflowId))),
  );
  for (const { workflowId, type } of evidence.runs) {
    const approvalId = approvalIdOf(workflowId);
    if (type !== 'approval' || known.has(approvalId)) continue;
    // This approval belongs to an order, and no client has sent a decision for it.
    if (ofOrders.has(approvalId)) auditApproval({ approvalId, decisions: [] }, log, evidence, findings);
    else findings.addViolation(workflowId, 'exists, but no client requested it');
  }
}

function auditApproval(
  { approvalId, source, decisions }: Pick<LoggedApproval, 'approvalId' | 'decisions'> & Partial<LoggedApproval>,
  log: ClientLog,
  evidence: Evidence,
  findings: Findings,
): void {
  const workflowId = approvalWorkflowId(approvalId);
  const request = source && 'request' in source ? [source.request] : [];
  for (const logged of [...request, ...decisions]) findings.compareResponses(workflowId, logged);
  if (isAnyAccepted(decisions)) findings.accepted.decisions += 1;

  const [run, ...more] = evidence.runsOf(workflowId);
  if (!run) {
    if (isAnyAccepted([...request, ...decisions]))
      findings.addLost(workflowId, 'was accepted, but there is no such approval');
    return;
  }
  if (request.length > 0 && !isAnyPossible(request)) findings.addViolation(workflowId, 'exists, but was rejected');
  if (more.length > (log.resetWorkflowIds.includes(workflowId) ? 1 : 0))
    findings.addDuplicate(workflowId, `ran ${more.length + 1} times`);
  const view = evidence.viewOf<ApprovalView>(workflowId);
  if (view?.decision) findings.effects.decisions += 1;
  if (findings.reportedOpen.includes(workflowId)) return;
  if (!view || !['COMPLETED', 'CANCELLED'].includes(run.status)) {
    findings.addViolation(workflowId, `is ${run.status.toLowerCase()}, which is not a valid end`);
    return;
  }
  auditEffectiveDecision(workflowId, view, decisions, findings);
}

const STATUS_BY_DECISION = { approve: 'approved', reject: 'rejected' } as const;

function auditEffectiveDecision(
  workflowId: string,
  { decision: effective, status, trail }: ApprovalView,
  decisions: LoggedApproval['decisions'],
  findings: Findings,
): void {
  const counted = trail.filter(({ event }) => event === 'decided').length;
  if (counted > 1) findings.addDuplicate(workflowId, `was decided ${counted} times`);
  if (!effective) {
    if (isAnyAccepted(decisions)) findings.addLost(workflowId, `accepted a decision, but is ${status} without one`);
    return;
  }
  const effectiveText = `${effective.approver}: ${effective.decision}`;
  if (status !== STATUS_BY_DECISION[effective.decision])
    findings.addViolation(workflowId, `was decided (${effectiveText}), but is ${status}`);
  const isSame = (logged: LoggedApproval['decisions'][number]) =>
    `${logged.approver}: ${logged.decision}` === effectiveText;
  if (!decisions.some((logged) => isSame(logged) && logged.outcome !== 'rejected'))
    findings.addViolation(
      workflowId,
      `was decided (${effectiveText}), but no client that made this decision got this result`,
    );
  // Callbacks are excluded: a callback can be accepted even if its decision is not the effective one.
  for (const logged of decisions.filter(({ via, outcome }) => via === 'api' && outcome === 'accepted')) {
    if (!isSame(logged) || logged.responses.some((response) => response !== effectiveText))
      findings.addViolation(
        workflowId,
        `was decided (${effectiveText}); the response to ${logged.approver}: ${logged.decision} was ${logged.responses.join(' | ')}`,
      );
  }
}
