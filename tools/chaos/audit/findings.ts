import type { LoggedRequest, EdgeCase } from '../client-log.js';

/** A broken promise of the shop. */
export interface Violation {
  /** The workflow that it concerns; `product <sku>` for stock that no workflow accounts for. */
  workflowId: string;
  message: string;
}

/** The kinds of promises that a table counts. */
export type CountedKind = 'orders' | 'cart changes' | 'decisions' | 'batch items';

export interface AuditResult {
  accepted: Record<CountedKind, number>;
  /** Effects that exist, including those of requests that never got a response. */
  effects: Record<CountedKind, number>;
  /** Accepted requests without their effect. */
  lost: number;
  /** Requests with more than one effect. */
  duplicated: number;
  /** The number of orders by outcome: `completed`, `rejected: CardDeclined`, … */
  outcomes: Record<string, number>;
  /**
   * Open workflows that the product itself reports: parked compensations, overdue deliveries, and pending approvals
   * with their orders.
   */
  reportedOpen: string[];
  replayed: { histories: number; events: number };
  violations: Violation[];
}

/** Collects the auditor's findings. */
export class Findings implements AuditResult {
  readonly accepted = zeroCounts();
  readonly effects = zeroCounts();
  lost = 0;
  duplicated = 0;
  readonly outcomes: Record<string, number> = {};
  reportedOpen: string[] = [];
  replayed = { histories: 0, events: 0 };
  readonly violations: Violation[] = [];

  readonly #edgeCases: Map<string | undefined, string>;

  /** A violation of an order that belongs to an edge case names that edge case. */
  constructor(edgeCases: readonly EdgeCase[] = []) {
    this.#edgeCases = new Map(edgeCases.map(({ name, workflowId }) => [workflowId, name]));
  }

  addViolation(workflowId: string, what: string): void {
    const name = this.#edgeCases.get(workflowId);
    this.violations.push({ workflowId, message: name === undefined ? what : `${what} (edge case: ${name})` });
  }

  addLost(workflowId: string, what: string): void {
    this.lost += 1;
    this.addViolation(workflowId, what);
  }

  addDuplicate(workflowId: string, what: string): void {
    this.duplicated += 1;
    this.addViolation(workflowId, what);
  }

  /** Checks that repetitions of a request under its key get the first response again. */
  compareResponses(workflowId: string, { key, responses }: LoggedRequest): void {
    const different = new Set(responses);
    if (different.size > 1)
      this.addViolation(workflowId, `got different responses under the key ${key}: ${[...different].join(' | ')}`);
  }
}

const zeroCounts = (): Record<CountedKind, number> => ({
  orders: 0,
  'cart changes': 0,
  decisions: 0,
  'batch items': 0,
});

/** The promises in the responses: everything that a response says was done. */
export const acceptedResults = (requests: LoggedRequest[]): string[] => [
  ...new Set(requests.flatMap(({ responses }) => responses.filter((answer) => answer !== 'rejected'))),
];

/** `isPromised`: whether a caller got the response that it is done. `isPossible`: whether it may have been done. */
export const isAnyAccepted = (requests: LoggedRequest[]): boolean =>
  requests.some(({ outcome }) => outcome === 'accepted');
export const isAnyPossible = (requests: LoggedRequest[]): boolean =>
  requests.some(({ outcome }) => outcome !== 'rejected');
