import type { TemporalFailure } from '@temporalio/common';
import { condition } from '@temporalio/workflow';
import type { CompensationDecision, OrderView } from '../../schemas/order.js';
import { reasonOf } from '../shared/failures.js';
import type { SagaObserver } from '../shared/saga.js';
import { MAX_STUCK_RETRIES, STUCK_RETRY_INITIAL_SECONDS, STUCK_RETRY_MAXIMUM_SECONDS } from './contract.js';
import { Timeline } from './timeline.js';

type CompensationEntry = OrderView['compensations'][number];
type Action = CompensationDecision['action'];

/** Shows the compensations of an order in its view, and waits for decisions about stuck compensations. */
export class Compensations implements SagaObserver {
  private readonly timeline: Timeline<CompensationEntry>;
  /** Decisions that have not taken effect yet, keyed by the name of the compensation. */
  private readonly decisions = new Map<string, Action>();
  /** Called after each change of a compensation entry. */
  private readonly onChange: (entry: CompensationEntry) => void;

  constructor(entries: CompensationEntry[], onChange: (entry: CompensationEntry) => void) {
    this.timeline = new Timeline(entries, (name, startedAt) => ({ name, status: 'started', startedAt, attempt: 0 }));
    this.onChange = onChange;
  }

  onCompensation(name: string, status: 'started' | 'completed' | 'skipped' | 'rejected'): void {
    if (status === 'started') this.timeline.start(name).attempt += 1;
    else this.timeline.end(name, status);
    const entry = this.timeline.find(name)!;
    delete entry.nextAttemptAt;
    this.onChange(entry);
  }

  /** Waits until an operator decides or the next automatic retry is due. */
  async onStuck(name: string, failure: TemporalFailure): Promise<Action> {
    const entry = this.timeline.find(name)!;
    const seconds = stuckRetryDelaySeconds(entry.attempt);
    entry.status = 'stuck';
    entry.reason = reasonOf(failure);
    if (seconds !== undefined) entry.nextAttemptAt = new Date(Date.now() + seconds * 1000).toISOString();
    this.onChange(entry);
    const isDecided = () => this.decisions.has(name);
    if (seconds === undefined) await condition(isDecided);
    else await condition(isDecided, seconds * 1000, { summary: `Next retry of ${name}` });
    const action = this.decisions.get(name) ?? 'retry';
    this.decisions.delete(name);
    return action;
  }

  /** Stores an operator's decision about a stuck compensation. `onStuck` acts on the decision. */
  decide({ compensation, action }: CompensationDecision): void {
    this.decisions.set(compensation, action);
  }

  /**
   * Whether the compensation is stuck and no operator has decided about it yet. If `attempt` is given, the stuck
   * attempt must have this number.
   */
  isStuck(name: string, attempt?: number): boolean {
    const entry = this.timeline.find(name);
    const isThisAttempt = attempt === undefined || entry?.attempt === attempt;
    return entry?.status === 'stuck' && isThisAttempt && !this.decisions.has(name);
  }

  /** Whether the compensation is stuck, or a decision about it has not taken effect yet. */
  awaitsDecision(name: string): boolean {
    return this.decisions.has(name) || this.isStuck(name);
  }
}

/**
 * Returns the seconds until the automatic retry of a compensation that was stuck `attempt` times. Returns undefined
 * when only an operator can retry the compensation.
 */
export const stuckRetryDelaySeconds = (attempt: number): number | undefined =>
  attempt <= MAX_STUCK_RETRIES
    ? Math.min(STUCK_RETRY_INITIAL_SECONDS * 2 ** (attempt - 1), STUCK_RETRY_MAXIMUM_SECONDS)
    : undefined;
