import type { AuditPage } from '../../activities/audit.js';
import type { AuditFinding, AuditResult } from '../../schemas/audit.js';
import { compareCharges, compareWorkflows, recordAuditFindings } from './activities.js';

/** A comparison ends after this number of findings, so that the history and the result of the run stay small. */
const MAX_FINDINGS = 500;

/**
 * Compares what the payment gateway charged and what Temporal runs with the orders in the database. Lists each
 * difference for a person, and changes nothing else. Takes no input.
 */
export async function audit(input?: unknown): Promise<AuditResult> {
  const charges = await compareAll((after) => compareCharges({ input, after }));
  const workflows = await compareAll((after) => compareWorkflows({ after }));
  const findings = uniqueFindings([...charges.findings, ...workflows.findings]);
  const isComplete = charges.isComplete && workflows.isComplete;
  await recordAuditFindings({ findings, isComplete });
  return { chargeCount: charges.comparedCount, workflowCount: workflows.comparedCount, findings, isComplete };
}

/** If an order has several findings, keeps the last one, which the database keeps too. */
const uniqueFindings = (findings: AuditFinding[]): AuditFinding[] => [
  ...new Map(findings.map((finding) => [finding.orderId, finding])).values(),
];

async function compareAll(compare: (after: string | undefined) => Promise<AuditPage>) {
  const compared: AuditPage = { comparedCount: 0, findings: [] };
  let next: string | undefined;
  do {
    const page = await compare(next);
    compared.comparedCount += page.comparedCount;
    compared.findings.push(...page.findings);
    next = page.next;
  } while (next !== undefined && compared.findings.length < MAX_FINDINGS);
  return { ...compared, isComplete: next === undefined };
}
