import { z } from 'zod';
import { customerId } from './order.js';

export const eraseInput = z.strictObject({
  /** The id of the person as a customer, requester or approver. */
  customerId,
  /** Only counts the data, and changes nothing. */
  dryRun: z.boolean().optional(),
});
export type EraseInput = z.infer<typeof eraseInput>;

/** Something of the person that is in progress, and why it blocks the erasure. */
export interface OpenWork {
  kind: 'order' | 'cart' | 'approval';
  id: string;
  problem: string;
}

/** The numbers of records and closed workflows that contain the id of the person. */
export interface PersonalDataCounts {
  orders: number;
  carts: number;
  approvals: number;
  /** Stored responses to requests with an idempotency key. */
  responses: number;
  /** Closed workflow runs that Temporal still has. */
  workflowRuns: number;
}

export interface EraseResult {
  /** `blocked`: no record was erased, because of `open`. `planned`: a dry run found no open work. */
  result: 'erased' | 'blocked' | 'planned';
  /** What was found, and was erased if `result` is `erased`. */
  found: PersonalDataCounts;
  /** At most 100 entries. */
  open: OpenWork[];
  openCount: number;
}
