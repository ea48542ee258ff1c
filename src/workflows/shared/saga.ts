import { CancellationScope } from '@temporalio/workflow';
import { TemporalFailure } from '@temporalio/common';

/**
 * Thrown by a blocking compensation whose step can no longer be compensated. The saga then keeps all older steps, and
 * the caller must complete the saga.
 */
export class PointOfNoReturn extends Error {
  override readonly name = 'PointOfNoReturn';
}

/** Compensates a step. `run` must be idempotent, and must also work if the step never happened. */
export interface Compensation {
  name: string;
  run: () => Promise<unknown>;
  /**
   * While a blocking compensation is stuck, older compensations wait, because they must run after it. A blocking
   * compensation may throw `PointOfNoReturn`.
   */
  isBlocking?: boolean;
}

export interface SagaObserver {
  /** Called whenever the state of a compensation changes. `rejected` means that it threw `PointOfNoReturn`. */
  onCompensation?: (name: string, status: 'started' | 'completed' | 'skipped' | 'rejected') => void;
  /**
   * Called when a compensation has used all its retries and is stuck. Resolves with the decision about the
   * compensation.
   */
  onStuck: (name: string, failure: TemporalFailure) => Promise<'retry' | 'skip'>;
}

/**
 * The compensation stack of a saga.
 *
 * - A compensation is registered **before** its step runs, because a step may take effect and lose its response.
 * - Compensations run last in, first out, in a non-cancellable scope, each at most once.
 * - A compensation that keeps failing is stuck, not dropped: the observer decides whether to retry or skip it.
 *   Meanwhile, older compensations run, unless the stuck compensation is blocking.
 * - Only Temporal failures are handled. Any other error is a bug in workflow code and is rethrown, so that the workflow
 *   task waits for a fix instead of refunding customers.
 */
export class Saga {
  private stack: Compensation[] = [];
  private readonly observer: SagaObserver;

  constructor(observer: SagaObserver) {
    this.observer = observer;
  }

  /** Registers the compensation, then runs the step. The caller handles failures of the step. */
  runStep<T>(step: () => Promise<T>, compensation: Compensation): Promise<T> {
    this.register(compensation);
    return step();
  }

  /** Registers the compensation of a step that ran in an earlier run. */
  register(compensation: Compensation): void {
    this.stack.push(compensation);
  }

  /** Removes compensations by name. Their steps never happened or need no compensation any more. */
  unregister(...names: string[]): void {
    this.stack = this.stack.filter(({ name }) => !names.includes(name));
  }

  /**
   * Runs the compensations, last step first. Resolves when no compensation is stuck any more.
   *
   * @returns true when the stack is empty; false when a blocking compensation threw `PointOfNoReturn`. In the second
   * case, that compensation is removed, older compensations stay registered, and the caller must complete the saga.
   */
  async compensate(): Promise<boolean> {
    return await CancellationScope.nonCancellable(async () => {
      const stuck: Promise<unknown>[] = [];
      let isPastReturn = false;
      for (let next = this.stack.pop(); next; next = isPastReturn ? undefined : this.stack.pop()) {
        let outcome = await this.runCompensation(next);
        if (outcome instanceof TemporalFailure) {
          const resolved = this.resolveStuck(next, outcome);
          if (!next.isBlocking) {
            stuck.push(resolved);
            continue;
          }
          outcome = await resolved;
        }
        isPastReturn = outcome === 'point_of_no_return';
      }
      await Promise.all(stuck);
      return !isPastReturn;
    });
  }

  /** Asks the observer about a stuck compensation until it is completed or skipped, or throws `PointOfNoReturn`. */
  private async resolveStuck(
    compensation: Compensation,
    failure: TemporalFailure,
  ): Promise<'done' | 'point_of_no_return'> {
    let outcome: CompensationOutcome = failure;
    while (outcome instanceof TemporalFailure) {
      if ((await this.observer.onStuck(compensation.name, outcome)) === 'skip') {
        this.observer.onCompensation?.(compensation.name, 'skipped');
        return 'done';
      }
      outcome = await this.runCompensation(compensation);
    }
    return outcome;
  }

  private async runCompensation({ name, run }: Compensation): Promise<CompensationOutcome> {
    this.observer.onCompensation?.(name, 'started');
    try {
      await run();
      this.observer.onCompensation?.(name, 'completed');
      return 'done';
    } catch (error) {
      if (error instanceof PointOfNoReturn) {
        this.observer.onCompensation?.(name, 'rejected');
        return 'point_of_no_return';
      }
      if (error instanceof TemporalFailure) return error;
      throw error;
    }
  }
}

type CompensationOutcome = 'done' | 'point_of_no_return' | TemporalFailure;
