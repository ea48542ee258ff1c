import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../src/activities/index.js';

export type ActivityName = keyof Activities;

/** One attempt of an activity: its arguments and its outcome. */
export interface ActivityCall {
  name: ActivityName;
  orderId: string;
  args: unknown[];
  end: 'running' | 'done' | 'failed' | 'answer lost';
  /** Whether the attempt received a cancellation while it ran. */
  cancelled: boolean;
}

interface Trouble {
  name: ActivityName;
  orderId: string;
  withEffect: boolean;
  forGood: boolean;
  times: number;
}

type AnyActivity = (...args: unknown[]) => Promise<unknown>;

/** The real activities, with a record of each attempt. A test can make them fail like a crashed worker would. */
export class WatchedActivities {
  readonly #calls: ActivityCall[] = [];
  #troubles: Trouble[] = [];

  wrap(activities: Activities): Activities {
    const wrapped = Object.entries(activities).map(([name, run]) => [name, this.#watch(name as ActivityName, run)]);
    return Object.fromEntries(wrapped) as Activities;
  }

  /** The attempts for an order so far, in the order in which they began. */
  callsOf(orderId: string): ActivityCall[] {
    return this.#calls.filter((call) => call.orderId === orderId);
  }

  /** The activities of an order that succeeded, in the order in which they began. */
  doneOf(orderId: string): ActivityName[] {
    return this.callsOf(orderId).flatMap(({ name, end }) => (end === 'done' ? [name] : []));
  }

  /** The next attempt takes effect, then fails. `forGood` makes the failure non-retryable. */
  loseAnswer(name: ActivityName, orderId: string, { forGood = false } = {}): void {
    this.#troubles.push({ name, orderId, withEffect: true, forGood, times: 1 });
  }

  /** The next attempts have no effect and fail with a non-retryable failure. */
  fail(name: ActivityName, orderId: string, { times = 1 } = {}): void {
    this.#troubles.push({ name, orderId, withEffect: false, forGood: true, times });
  }

  #watch(name: ActivityName, run: unknown): AnyActivity {
    return async (...args) => {
      const call: ActivityCall = { name, orderId: orderIdOf(args), args, end: 'running', cancelled: false };
      this.#calls.push(call);
      Context.current().cancellationSignal.addEventListener('abort', () => (call.cancelled = true));
      const trouble = this.#take(name, call.orderId);
      try {
        const answer = trouble && !trouble.withEffect ? undefined : await (run as AnyActivity)(...args);
        if (trouble) throw failureOf(name, trouble);
        call.end = 'done';
        return answer;
      } catch (error) {
        call.end = trouble?.withEffect ? 'answer lost' : 'failed';
        throw error;
      }
    };
  }

  #take(name: ActivityName, orderId: string): Trouble | undefined {
    const trouble = this.#troubles.find((candidate) => candidate.name === name && candidate.orderId === orderId);
    if (trouble && --trouble.times === 0) this.#troubles = this.#troubles.filter((other) => other !== trouble);
    return trouble;
  }
}

function failureOf(name: ActivityName, { withEffect, forGood }: Trouble): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'ToldToFail',
    message: withEffect ? `the answer of ${name} is lost` : `${name} was told to fail`,
    nonRetryable: forGood,
  });
}

/** Activities of an order have the order's id in their argument. */
function orderIdOf([first]: unknown[]): string {
  return (first as { orderId?: string } | undefined)?.orderId ?? '';
}
