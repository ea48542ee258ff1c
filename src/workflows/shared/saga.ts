import { CancellationScope } from '@temporalio/workflow';
import { TemporalFailure } from '@temporalio/common';

/**
 * Thrown by a gate whose step can no longer be compensated. Nothing older is compensated either: the saga has to go
 * forward.
 */
export class PointOfNoReturn extends Error {
  override readonly name = 'PointOfNoReturn';
}

/** Compensates a step. `run` must be safe when the step never happened, and when it is called again. */
export interface Compensation {
  name: string;
  run: () => Promise<unknown>;
  /** Older compensations are right only once this one is done: they wait while it is stuck. It may throw `PointOfNoReturn`. */
  isGate?: boolean;
}

export interface SagaObserver {
  /** Called on every change of a compensation, for timelines and search attributes. */
  onCompensation?: (name: string, status: 'started' | 'completed' | 'skipped' | 'refused') => void;
  /** A compensation used up its retries and is parked. Resolves with what to do about it. */
  onStuck: (name: string, failure: TemporalFailure) => Promise<'retry' | 'skip'>;
}

/**
 * The compensation stack of a saga.
 *
 * - A compensation is registered **before** its step runs: a step may take effect and lose its answer.
 * - Compensations run last in, first out, in a scope that no cancellation reaches, each at most once.
 * - A compensation that keeps failing is parked, not swallowed: the observer decides whether to retry or to skip it. Older
 *   compensations run meanwhile, unless the parked one is a gate.
 * - Only Temporal failures are handled. Anything else is a bug in workflow code: it is rethrown, so that the workflow
 *   task waits for a fix instead of refunding customers.
 */
export class Saga {
  private stack: Compensation[] = [];
  private readonly observer: SagaObserver;

  constructor(observer: SagaObserver) {
    this.observer = observer;
  }

  /** Registers the compensation, then runs the step. The caller handles failures of the step. */
  async step<T>(run: () => Promise<T>, compensation: Compensation): Promise<T> {
    this.register(compensation);
    return await run();
  }

  /** Registers the compensation of a step that an earlier run took. */
  register(compensation: Compensation): void {
    this.stack.push(compensation);
  }

  /** Drops compensations by name: what they would compensate never happened, or has become final by other means. */
  forget(...names: string[]): void {
    this.stack = this.stack.filter(({ name }) => !names.includes(name));
  }

  /**
   * Compensates what was done, last step first. Returns when nothing is parked any more.
   *
   * @returns true when the stack is empty, false when a gate threw `PointOfNoReturn`: the gate is dropped, older
   * compensations stay registered, and the caller goes forward.
   */
  async compensate(): Promise<boolean> {
    return await CancellationScope.nonCancellable(async () => {
      const parked: Promise<unknown>[] = [];
      let refused = false;
      for (let next = this.stack.pop(); next; next = refused ? undefined : this.stack.pop()) {
        let outcome = await this.run(next);
        if (outcome instanceof TemporalFailure) {
          const resolved = this.resolve(next, outcome);
          if (!next.isGate) {
            parked.push(resolved);
            continue;
          }
          outcome = await resolved;
        }
        refused = outcome === 'refused';
      }
      await Promise.all(parked);
      return !refused;
    });
  }

  /** Asks the observer about a stuck compensation until it is done, skipped or refused. */
  private async resolve(compensation: Compensation, failure: TemporalFailure): Promise<'done' | 'refused'> {
    let outcome: Outcome = failure;
    while (outcome instanceof TemporalFailure) {
      if ((await this.observer.onStuck(compensation.name, outcome)) === 'skip') {
        this.observer.onCompensation?.(compensation.name, 'skipped');
        return 'done';
      }
      outcome = await this.run(compensation);
    }
    return outcome;
  }

  private async run({ name, run }: Compensation): Promise<Outcome> {
    this.observer.onCompensation?.(name, 'started');
    try {
      await run();
      this.observer.onCompensation?.(name, 'completed');
      return 'done';
    } catch (error) {
      if (error instanceof PointOfNoReturn) {
        this.observer.onCompensation?.(name, 'refused');
        return 'refused';
      }
      if (error instanceof TemporalFailure) return error;
      throw error;
    }
  }
}

type Outcome = 'done' | 'refused' | TemporalFailure;
