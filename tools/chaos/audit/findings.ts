import type { Asked, EdgeCase } from '../ledger.js';

/** A broken promise of the shop. */
export interface Violation {
  /** The workflow that it concerns; `product <sku>` for stock that no workflow accounts for. */
  workflowId: string;
  what: string;
}

/** The kinds of promises that a table counts. */
export type Counted = 'orders' | 'cart changes' | 'decisions' | 'batch items';

export interface Audit {
  accepted: Record<Counted, number>;
  /** Effects that exist, including those of requests that never got a response. */
  effects: Record<Counted, number>;
  /** Accepted requests without their effect. */
  lost: number;
  /** Requests with more than one effect. */
  doubled: number;
  /** The number of orders by outcome: `completed`, `rejected: CardDeclined`, … */
  outcomes: Record<string, number>;
  /**
   * Open workflows that the product itself reports: parked compensations, overdue deliveries, and pending approvals
   * with their orders.
   */
  reported: string[];
  replayed: { histories: number; events: number };
  violations: Violation[];
}

/** Collects the auditor's findings. */
export class Findings implements Audit {
  readonly accepted = nothing();
  readonly effects = nothing();
  lost = 0;
  doubled = 0;
  readonly outcomes: Record<string, number> = {};
  reported: string[] = [];
  replayed = { histories: 0, events: 0 };
  readonly violations: Violation[] = [];

  readonly #edgeCases: Map<string | undefined, string>;

  /** A violation of an order that belongs to an edge case names that edge case. */
  constructor(edgeCases: readonly EdgeCase[] = []) {
    this.#edgeCases = new Map(edgeCases.map(({ name, workflowId }) => [workflowId, name]));
  }

  violate(workflowId: string, what: string): void {
    const name = this.#edgeCases.get(workflowId);
    this.violations.push({ workflowId, what: name === undefined ? what : `${what} (edge case: ${name})` });
  }

  lose(workflowId: string, what: string): void {
    this.lost += 1;
    this.violate(workflowId, what);
  }

  double(workflowId: string, what: string): void {
    this.doubled += 1;
    this.violate(workflowId, what);
  }

  /** Checks that repetitions of a request under its key get the first response again. */
  compareAnswers(workflowId: string, { key, answers }: Asked): void {
    const different = new Set(answers);
    if (different.size > 1)
      this.violate(workflowId, `was answered differently under the key ${key}: ${[...different].join(' | ')}`);
  }
}

const nothing = (): Record<Counted, number> => ({ orders: 0, 'cart changes': 0, decisions: 0, 'batch items': 0 });

/** The promises in the responses: everything that a response says was done. */
export const promises = (requests: Asked[]): string[] => [
  ...new Set(requests.flatMap(({ answers }) => answers.filter((answer) => answer !== 'refused'))),
];

/** `isPromised`: whether a caller got the response that it is done. `isPossible`: whether it may have been done. */
export const isPromised = (requests: Asked[]): boolean => requests.some(({ fate }) => fate === 'accepted');
export const isPossible = (requests: Asked[]): boolean => requests.some(({ fate }) => fate !== 'refused');
