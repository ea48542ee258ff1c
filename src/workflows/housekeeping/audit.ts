import type { AuditPage, Recheck } from '../../activities/audit.js';
import type { AuditFinding, AuditResult } from '../../schemas/audit.js';
import { compareCharges, compareWorkflows, recordAuditFindings } from './activities.js';

/** A comparison ends after this number of new findings, so that the history and the result of the run stay small. */
const MAX_FINDINGS = 500;

/**
 * Compares what the payment gateway charged and what Temporal runs with the orders in the database. Lists each
 * difference for a person, and changes nothing else. Takes no input.
 */
export async function audit(input?: unknown): Promise<AuditResult> {
  let recheck: Recheck | undefined;
  let areEventsComplete = true;
  const isNew = ({ orderId }: AuditFinding) => !recheck?.orderIds.includes(orderId);
  const charges = await compareAll(isNew, async (after) => {
    const page = await compareCharges({ input, after });
    recheck ??= page.recheck;
    if (page.areEventsComplete === false) areEventsComplete = false;
    return page;
  });
  const workflows = await compareAll(isNew, (after) => compareWorkflows({ after }));
  const isRecheckComplete = recheck?.isComplete !== false;
  const areComparisonsComplete = charges.isComplete && areEventsComplete && workflows.isComplete;
  const findings = uniqueFindings([...(recheck?.findings ?? []), ...charges.findings, ...workflows.findings]);
  await recordAuditFindings({
    findings,
    isComplete: areComparisonsComplete,
    recheckedOrderIds: isRecheckComplete ? undefined : recheck?.orderIds,
  });
  const isComplete = areComparisonsComplete && isRecheckComplete;
  return { chargeCount: charges.comparedCount, workflowCount: workflows.comparedCount, findings, isComplete };
}

/** If an order has several findings, keeps the last one, which the database keeps too. */
const uniqueFindings = (findings: AuditFinding[]): AuditFinding[] => [
  ...new Map(findings.map((finding) => [finding.orderId, finding])).values(),
];

async function compareAll(
  isNew: (finding: AuditFinding) => boolean,
  compare: (after: string | undefined) => Promise<AuditPage>,
) {
  const compared: AuditPage = { comparedCount: 0, findings: [] };
  let newCount = 0;
  let next: string | undefined;
  do {
    const page = await compare(next);
    compared.comparedCount += page.comparedCount;
    compared.findings.push(...page.findings);
    newCount += page.findings.filter(isNew).length;
    next = page.next;
  } while (next !== undefined && newCount < MAX_FINDINGS);
  return { ...compared, isComplete: next === undefined };
}
