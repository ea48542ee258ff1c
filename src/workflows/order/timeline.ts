import type { TemporalFailure } from '@temporalio/common';
import { condition } from '@temporalio/workflow';
import type { CompensationDecision, OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { reasonOf } from '../shared/failures.js';
import type { SagaObserver } from '../shared/saga.js';

/**
 * A stuck compensation is retried after one hour. The delay doubles with each retry, up to one day. After about a year,
 * only an operator can retry the compensation. Each retry adds up to 27 events to the history, whose limit is 51,200
 * events (docs/reference/limits.md).
 */
const STUCK_RETRY_INITIAL_SECONDS = 60 * 60;
const STUCK_RETRY_MAXIMUM_SECONDS = 24 * 60 * 60;
export const MAX_STUCK_RETRIES = 365;

/** A list of timeline entries with unique names. An entry has the status `started` until its outcome is known. */
export class Timeline<Entry extends OrderView['steps'][number] | OrderView['compensations'][number]> {
  private readonly entries: Entry[];
  private readonly create: (name: string, startedAt: string) => Entry;

  constructor(entries: Entry[], create: (name: string, startedAt: string) => Entry) {
    this.entries = entries;
    this.create = create;
  }

  find(name: string): Entry | undefined {
    return this.entries.find((entry) => entry.name === name);
  }

  /** Adds an entry, or restarts an existing entry. */
  start(name: string): Entry {
    const existing = this.find(name);
    if (!existing) {
      const entry = this.create(name, now());
      this.entries.push(entry);
      return entry;
    }
    existing.status = 'started';
    delete existing.reason;
    delete existing.endedAt;
    return existing;
  }

  /** Sets the outcome of an entry. Does nothing if there is no entry with this name. */
  end(name: string, status: Entry['status'], reason?: Reason): void {
    const entry = this.find(name);
    if (!entry) return;
    entry.status = status;
    if (reason) entry.reason = reason;
    entry.endedAt = now();
  }
}

type CompensationEntry = OrderView['compensations'][number];
type Action = CompensationDecision['action'];

/**
 * Shows the compensations of an order in its view, and waits for decisions about stuck compensations. `attempt` counts
 * the runs of a compensation. In each run, its activity is retried several times.
 */
export class CompensationTimeline implements SagaObserver {
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

const now = () => new Date().toISOString();
