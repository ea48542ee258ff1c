import { COMPLETE, type Ledger } from '../ledger.js';
import type { Findings } from './findings.js';

/** An edge case that was not played to its end shows nothing, so the run is no proof of it. */
export function auditEdgeCases({ edgeCases }: Ledger, findings: Findings): void {
  for (const { name, workflowId, outcome } of edgeCases) {
    if (outcome === COMPLETE) continue;
    findings.violate(
      workflowId ?? `(edge case: ${name})`,
      `was not played to its end: ${outcome ?? 'the customer still waited for something'}`,
    );
  }
}
