import type { LoggedRequest, EdgeCase } from '../client-log.js';

/** A contradiction between what the shop responded and what it did. */
export interface Violation {
  /** The workflow of the violation, or `product <sku>` for a stock difference that belongs to no workflow. */
  workflowId: string;
  message: string;
}

/** The kinds of requests that the result table counts. */
export type CountedKind = 'orders' | 'cart changes' | 'decisions' | 'batch items';

export interface AuditResult {
  accepted: Record<CountedKind, number>;
  /** The effects found in the records. Includes effects of requests that never got a response. */
  effects: Record<CountedKind, number>;
  /** The number of accepted requests that had no effect. */
  lost: number;
  /** The number of requests that had more than one effect. */
  duplicated: number;
  /** The number of orders by outcome: `completed`, `rejected: CardDeclined`, … */
  outcomes: Record<string, number>;
  /**
   * The ids of open workflows that the shop itself reports: orders with a stuck compensation or an overdue delivery,
   * pending approvals, and the orders that wait for these approvals.
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

  /** The message of a violation includes the name of the edge case to which its order belongs. */
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

  /** Checks that all responses to one idempotency key are equal. */
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

/** Returns the distinct results in the 2xx responses, for example order ids. */
export const acceptedResults = (requests: LoggedRequest[]): string[] => [
  ...new Set(requests.flatMap(({ responses }) => responses.filter((response) => response !== 'rejected'))),
];

/** Whether the API accepted at least one of the requests. */
export const isAnyAccepted = (requests: LoggedRequest[]): boolean =>
  requests.some(({ outcome }) => outcome === 'accepted');
/** Whether the API accepted, or may have accepted, at least one of the requests. */
export const isAnyPossible = (requests: LoggedRequest[]): boolean =>
  requests.some(({ outcome }) => outcome !== 'rejected');
