import type { ClientLog } from '../client-log.js';
import type { Evidence } from './evidence.js';
import type { Findings } from './findings.js';

/** Checks that stock plus reservations equal the initial stock, for every product that no batch restocks. */
export function auditStock({ products, batches }: ClientLog, evidence: Evidence, findings: Findings): void {
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
        `${stock} in stock and ${reserved} reserved, but ${available} were there`,
      );
  }
}
