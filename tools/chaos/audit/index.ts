import type { Ledger } from '../ledger.js';
import { auditApprovals } from './approvals.js';
import { auditBatches } from './batches.js';
import { auditCarts } from './carts.js';
import { auditEdgeCases } from './edge-cases.js';
import { gather, type Books } from './evidence.js';
import { runsAtTheirEnd } from './executions.js';
import { Findings, type Audit } from './findings.js';
import { auditOrders } from './orders.js';
import { auditStock } from './stock.js';

export type { Books } from './evidence.js';
export type { Audit, Violation } from './findings.js';

/**
 * Waits until everything that was accepted has ended. Then compares the promises with the records: PostgreSQL, the
 * ledger of the external systems, and every history of the namespace, which only the load generator may have used.
 * Anything that has not ended by the deadline is a violation, unless the product itself reports it.
 */
export async function audit(ledger: Ledger, books: Books, { deadlineMs }: { deadlineMs: number }): Promise<Audit> {
  const findings = new Findings(ledger.edgeCases);
  const { runs, reported } = await runsAtTheirEnd(books.client, ledger, deadlineMs);
  findings.reported = [...reported];
  const evidence = await gather(runs, books, findings);
  auditOrders(ledger, evidence, findings);
  auditCarts(ledger, evidence, findings);
  auditApprovals(ledger, evidence, findings);
  await auditBatches(ledger, evidence, books.store, findings);
  auditStock(ledger, evidence, findings);
  auditEdgeCases(ledger, findings);
  return findings;
}
