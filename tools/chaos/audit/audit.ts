import type { ClientLog } from '../client-log.js';
import { auditApprovals } from './approvals.js';
import { auditBatches } from './batches.js';
import { auditCarts } from './carts.js';
import { auditEdgeCases } from './edge-cases.js';
import { gatherEvidence, type AuditSources } from './evidence.js';
import { waitUntilSettled } from './runs.js';
import { Findings, type AuditResult } from './findings.js';
import { auditOrders } from './orders.js';
import { auditStock } from './stock.js';

export type { AuditSources } from './evidence.js';
export type { AuditResult, Violation } from './findings.js';

/**
 * Waits until everything that was accepted has ended. Then compares the promises with the records: PostgreSQL, the
 * ledger of the external systems, and every history of the namespace, which only the load generator may have used.
 * Anything that has not ended by the deadline is a violation, unless the product itself reports it.
 */
export async function audit(
  ledger: ClientLog,
  books: AuditSources,
  { deadlineMs }: { deadlineMs: number },
): Promise<AuditResult> {
  const findings = new Findings(ledger.edgeCases);
  const { runs, reportedOpen } = await waitUntilSettled(books.client, ledger, deadlineMs);
  findings.reportedOpen = [...reportedOpen];
  const evidence = await gatherEvidence(runs, books, findings);
  auditOrders(ledger, evidence, findings);
  auditCarts(ledger, evidence, findings);
  auditApprovals(ledger, evidence, findings);
  await auditBatches(ledger, evidence, books.store, findings);
  auditStock(ledger, evidence, findings);
  auditEdgeCases(ledger, findings);
  return findings;
}
