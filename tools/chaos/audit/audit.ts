import { COMPLETE, type ClientLog } from '../client-log.js';
import { auditApprovals } from './approvals.js';
import { auditBatches } from './batches.js';
import { auditCarts } from './carts.js';
import { gatherEvidence, type AuditSources, type Evidence } from './evidence.js';
import { waitUntilSettled } from './runs.js';
import { Findings, type AuditResult } from './findings.js';
import { auditOrders } from './orders.js';

/**
 * Waits until all accepted work has ended. Then compares the responses that clients got with PostgreSQL, the ledger of
 * the fakes, and every history of the namespace. The namespace must contain only workflows of the load generator. Work
 * that has not ended by the deadline is a violation, unless the shop itself reports the workflow as stuck.
 */
export async function audit(
  log: ClientLog,
  sources: AuditSources,
  { deadlineMs }: { deadlineMs: number },
): Promise<AuditResult> {
  const findings = new Findings(log.edgeCases);
  const { runs, reportedOpen } = await waitUntilSettled(sources.client, log, deadlineMs);
  findings.reportedOpen = [...reportedOpen];
  const evidence = await gatherEvidence(runs, sources, findings);
  auditOrders(log, evidence, findings);
  auditCarts(log, evidence, findings);
  auditApprovals(log, evidence, findings);
  await auditBatches(log, evidence, sources.store, findings);
  auditStock(log, evidence, findings);
  auditEdgeCases(log, findings);
  return findings;
}

/** Checks that stock plus reservations equal the initial stock. Skips products that a batch restocks. */
function auditStock({ products, batches }: ClientLog, evidence: Evidence, findings: Findings): void {
  const restocked = new Set(batches.flatMap(({ quantityBySku }) => Object.keys(quantityBySku)));
  for (const { sku, available } of products) {
    if (restocked.has(sku)) continue;
    const stock = evidence.stockBySku.get(sku) ?? 0;
    const reserved = evidence.orderIdsHoldingStock.reduce(
      (sum, orderId) => sum + (evidence.heldQuantitiesOf(orderId).get(sku) ?? 0),
      0,
    );
    if (stock + reserved !== available)
      findings.addViolation(
        `product ${sku}`,
        `${stock} in stock and ${reserved} reserved, but the initial stock was ${available}`,
      );
  }
}

/** Reports every incomplete edge case, because it tested nothing. */
function auditEdgeCases({ edgeCases }: ClientLog, findings: Findings): void {
  for (const { name, workflowId, outcome } of edgeCases) {
    if (outcome === COMPLETE) continue;
    findings.addViolation(
      workflowId ?? `(edge case: ${name})`,
      `was not completed: ${outcome ?? 'its client was still waiting'}`,
    );
  }
}
