import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';

/** Where an activity runs in a test without a server; an activity that fails is no news there. */
export function anEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
}

/** Runs an activity as a worker would, in an environment of its own unless one is given. */
export async function runActivity<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
  env = anEnvironment(),
): Promise<Output> {
  return await env.run<[Input], Output, (input: Input) => Promise<Output>>(activity, input);
}
