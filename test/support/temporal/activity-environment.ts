import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

/**
 * The environment of an activity in a test without a server. It logs only errors, because failing activities are
 * expected.
 */
export function createActivityEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
}

/** Runs an activity as a worker would. Default: in a new environment. */
export async function runActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
  env = createActivityEnvironment(),
): Promise<Output> {
  return await env.run<[Input], Output, (input: Input) => Promise<Output>>(activity, input);
}
