import type { Asked, EdgeCase } from '../ledger.js';

/** Something that is not as it was promised. */
export interface Violation {
  /** Whose it is; `product <sku>` for stock that no workflow accounts for. */
  workflowId: string;
  what: string;
}

/** What can be promised, as a table counts it. */
export type Counted = 'orders' | 'cart changes' | 'decisions' | 'batch items';

export interface Audit {
  accepted: Record<Counted, number>;
  /** What is there, also of what was asked for and never answered. */
  effects: Record<Counted, number>;
  /** Accepted, and without its effect. */
  lost: number;
  /** With its effect more than once. */
  doubled: number;
  /** How orders ended: `completed`, `rejected: CardDeclined`, … */
  outcomes: Record<string, number>;
  /** Open, and reported by the product: parked compensations, overdue deliveries, and pending approvals with their orders. */
  reported: string[];
  replayed: { histories: number; events: number };
  violations: Violation[];
}

/** Gathers what the auditor finds. */
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

  /** A violation of an order that an edge case is about names that edge case. */
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

  /** Whoever repeats a request under its key gets the first answer again. */
  compareAnswers(workflowId: string, { key, answers }: Asked): void {
    const different = new Set(answers);
    if (different.size > 1)
      this.violate(workflowId, `was answered differently under the key ${key}: ${[...different].join(' | ')}`);
  }
}

const nothing = (): Record<Counted, number> => ({ orders: 0, 'cart changes': 0, decisions: 0, 'batch items': 0 });

/** What was promised: the answers that say that something was done. */
export const promises = (requests: Asked[]): string[] => [
  ...new Set(requests.flatMap(({ answers }) => answers.filter((answer) => answer !== 'refused'))),
];

/** Whether anybody was told that it is done; whether it may be. */
export const isPromised = (requests: Asked[]): boolean => requests.some(({ fate }) => fate === 'accepted');
export const isPossible = (requests: Asked[]): boolean => requests.some(({ fate }) => fate !== 'refused');
