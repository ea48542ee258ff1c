import { CancellationScope } from '@temporalio/workflow';
import { TemporalFailure } from '@temporalio/common';

/**
 * Thrown by a compensation whose step can no longer be undone. Nothing older is undone either: the saga has to go
 * forward.
 */
export class PointOfNoReturn extends Error {
  override readonly name = 'PointOfNoReturn';
}

/** What a step is undone with. `run` must be safe when the step never happened, and when it is called again. */
export interface Compensation {
  name: string;
  run: () => Promise<unknown>;
}

/** Told at each turn of a compensation, for timelines and search attributes. */
export interface SagaObserver {
  onCompensation?: (name: string, status: 'started' | 'completed' | 'skipped' | 'refused') => void;
  /** A compensation used up its retries. The answer decides what becomes of it; until then nothing older is undone. */
  onStuck: (name: string, failure: TemporalFailure) => Promise<'retry' | 'skip'>;
}

/**
 * The compensation stack of a saga.
 *
 * - A compensation is registered **before** its step runs: a step may take effect and lose its answer.
 * - Local activities are repeated when their workflow task is lost, and that repetition may end earlier than the first
 *   run did. So the compensation of a local step is registered before the first step of the same workflow task.
 * - Compensations run last in, first out, in a scope that no cancellation reaches, each at most once.
 * - One that keeps failing is not swallowed: the observer is asked whether to try again or to skip it.
 * - Only Temporal failures are handled. Anything else is a bug in workflow code: it is rethrown, so that the workflow
 *   task waits for a fix instead of refunding customers.
 */
export class Saga {
  private stack: Compensation[] = [];
  private readonly observer: SagaObserver;

  constructor(observer: SagaObserver) {
    this.observer = observer;
  }

  /** Registers the compensation, then runs the step. Failures of the step are the caller's. */
  async step<T>(run: () => Promise<T>, compensation: Compensation): Promise<T> {
    this.stack.push(compensation);
    return await run();
  }

  /** Drops compensations by name: what they would undo has become final by other means. */
  forget(...names: string[]): void {
    this.stack = this.stack.filter(({ name }) => !names.includes(name));
  }

  /**
   * Undoes what was done, last step first.
   *
   * @returns true when the stack is empty, false when a compensation threw `PointOfNoReturn`: that one is dropped, the
   * older ones stay registered, and the caller goes forward.
   */
  async compensate(): Promise<boolean> {
    return await CancellationScope.nonCancellable(async () => {
      for (let next = this.stack.pop(); next; next = this.stack.pop()) {
        if (!(await this.undo(next))) return false;
      }
      return true;
    });
  }

  private async undo({ name, run }: Compensation): Promise<boolean> {
    for (;;) {
      this.observer.onCompensation?.(name, 'started');
      try {
        await run();
        this.observer.onCompensation?.(name, 'completed');
        return true;
      } catch (error) {
        if (error instanceof PointOfNoReturn) {
          this.observer.onCompensation?.(name, 'refused');
          return false;
        }
        if (!(error instanceof TemporalFailure)) throw error;
        if ((await this.observer.onStuck(name, error)) === 'skip') {
          this.observer.onCompensation?.(name, 'skipped');
          return true;
        }
      }
    }
  }
}
