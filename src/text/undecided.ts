import type { IfUndecided } from '../schemas/approval.js';

const OUTCOMES = {
  timed_out: 'the request closes without a decision',
  approved: 'the request is approved automatically',
  rejected: 'the request is rejected automatically',
} as const;

/** Says what happens at the deadline of an approval. Continues the sentence "If nobody decides by …,". */
export function undecidedConsequence(ifUndecided: IfUndecided): string {
  if ('outcome' in ifUndecided) return OUTCOMES[ifUndecided.outcome];
  return `the request goes to ${listNames(ifUndecided.nextApprovers)}`;
}

/** Joins names for people: `ada`, `ada and grace`, `ada, grace, and erp`. */
export const listNames = (names: readonly string[]): string =>
  new Intl.ListFormat('en', { type: 'conjunction' }).format(names);
