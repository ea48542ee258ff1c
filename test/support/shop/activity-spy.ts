import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../../src/activities/index.js';

export type ActivityName = keyof Activities;

/** One attempt of an activity, with its arguments and its outcome. */
export interface ActivityAttempt {
  name: ActivityName;
  orderId: string;
  args: unknown[];
  outcome: 'running' | 'done' | 'failed' | 'response lost';
  /** Whether the attempt received a cancellation while it ran. */
  wasCancelled: boolean;
}

interface InjectedFault {
  name: ActivityName;
  orderId: string;
  takesEffect: boolean;
  nonRetryable: boolean;
  times: number;
}

type AnyActivity = (...args: unknown[]) => Promise<unknown>;

/**
 * Wraps the real activities and records each attempt. A test can inject failures before or after an activity takes
 * effect.
 */
export class ActivitySpy {
  readonly #calls: ActivityAttempt[] = [];
  #injectedFaults: InjectedFault[] = [];

  wrap(activities: Activities): Activities {
    const wrapped = Object.entries(activities).map(([name, run]) => [name, this.#watch(name as ActivityName, run)]);
    return Object.fromEntries(wrapped) as Activities;
  }

  /** Returns all attempts for an order, in the order of their start. */
  attemptsOf(orderId: string): ActivityAttempt[] {
    return this.#calls.filter((call) => call.orderId === orderId);
  }

  /** Returns the activities of an order that succeeded, in the order of their start. */
  completedActivitiesOf(orderId: string): ActivityName[] {
    return this.attemptsOf(orderId).flatMap(({ name, outcome }) => (outcome === 'done' ? [name] : []));
  }

  /** Makes the next attempt take effect and then fail. With `nonRetryable`, the failure is non-retryable. */
  failAfterEffect(name: ActivityName, orderId: string, { nonRetryable = false } = {}): void {
    this.#injectedFaults.push({ name, orderId, takesEffect: true, nonRetryable, times: 1 });
  }

  /** Makes the next attempts fail before they take effect, by default with a non-retryable failure. */
  failBeforeEffect(name: ActivityName, orderId: string, { times = 1, nonRetryable = true } = {}): void {
    this.#injectedFaults.push({ name, orderId, takesEffect: false, nonRetryable, times });
  }

  #watch(name: ActivityName, run: unknown): AnyActivity {
    return async (...args) => {
      const call: ActivityAttempt = { name, orderId: orderIdOf(args), args, outcome: 'running', wasCancelled: false };
      this.#calls.push(call);
      Context.current().cancellationSignal.addEventListener('abort', () => (call.wasCancelled = true));
      const failure = this.#take(name, call.orderId);
      try {
        const response = failure && !failure.takesEffect ? undefined : await (run as AnyActivity)(...args);
        if (failure) throw createInjectedFailure(name, failure);
        call.outcome = 'done';
        return response;
      } catch (error) {
        call.outcome = failure?.takesEffect ? 'response lost' : 'failed';
        throw error;
      }
    };
  }

  #take(name: ActivityName, orderId: string): InjectedFault | undefined {
    const failure = this.#injectedFaults.find((candidate) => candidate.name === name && candidate.orderId === orderId);
    if (failure && --failure.times === 0)
      this.#injectedFaults = this.#injectedFaults.filter((other) => other !== failure);
    return failure;
  }
}

function createInjectedFailure(name: ActivityName, { takesEffect, nonRetryable }: InjectedFault): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'InjectedFailure',
    message: takesEffect ? `the response of ${name} is lost` : `${name} fails as injected`,
    nonRetryable,
  });
}

/** The argument of every order activity contains the order id. */
function orderIdOf([first]: unknown[]): string {
  return (first as { orderId?: string } | undefined)?.orderId ?? '';
}
