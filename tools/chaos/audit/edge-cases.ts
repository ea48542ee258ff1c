import { COMPLETE, type ClientLog } from '../client-log.js';
import type { Findings } from './findings.js';

/** Reports every edge case that did not complete, because an incomplete edge case proves nothing. */
export function auditEdgeCases({ edgeCases }: ClientLog, findings: Findings): void {
  for (const { name, workflowId, outcome } of edgeCases) {
    if (outcome === COMPLETE) continue;
    findings.addViolation(
      workflowId ?? `(edge case: ${name})`,
      `was not played to its end: ${outcome ?? 'the customer still waited for something'}`,
    );
  }
}
