import { COMPLETE, type Ledger } from '../ledger.js';
import type { Findings } from './findings.js';

/** Reports every edge case that did not complete, because an incomplete edge case proves nothing. */
export function auditEdgeCases({ edgeCases }: Ledger, findings: Findings): void {
  for (const { name, workflowId, outcome } of edgeCases) {
    if (outcome === COMPLETE) continue;
    findings.violate(
      workflowId ?? `(edge case: ${name})`,
      `was not played to its end: ${outcome ?? 'the customer still waited for something'}`,
    );
  }
}
