import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

/**
 * Creates an environment for activities in tests without a server. It logs only errors, because tests provoke failures.
 */
export function createActivityEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
}

/** Runs an activity as a worker does, by default in a new environment. */
export async function runActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
  env = createActivityEnvironment(),
): Promise<Output> {
  return await env.run<[Input], Output, (input: Input) => Promise<Output>>(activity, input);
}
