import type { Ledger } from '../ledger.js';
import type { Evidence } from './evidence.js';
import type { Findings } from './findings.js';

/** Checks that stock plus reservations equal the initial stock, for every product that no batch restocks. */
export function auditStock({ products, batches }: Ledger, evidence: Evidence, findings: Findings): void {
  const restocked = new Set(batches.flatMap(({ pieces }) => Object.keys(pieces)));
  for (const { sku, available } of products) {
    if (restocked.has(sku)) continue;
    const stock = evidence.stock.get(sku) ?? 0;
    const reserved = evidence.holders.reduce((sum, orderId) => sum + (evidence.piecesOf(orderId).get(sku) ?? 0), 0);
    if (stock + reserved !== available)
      findings.violate(`product ${sku}`, `${stock} in stock and ${reserved} reserved, but ${available} were there`);
  }
}
