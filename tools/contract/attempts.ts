import assert from 'node:assert/strict';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { HeldCalls } from './contract-case.js';

/** An attempt must end before the start-to-close timeout of the activity. */
export const MAX_ATTEMPT_MS = 15_000;

/** Runs a call like an attempt of an activity. */
export function runAttempt<T>(call: () => Promise<T>, env = createEnvironment()): Promise<T> {
  return env.run<[], T, () => Promise<T>>(call);
}

/** Logs only errors, because the suite provokes failures. */
function createEnvironment(): MockActivityEnvironment {
  return new MockActivityEnvironment(undefined, { logger: new DefaultLogger('ERROR') });
}

/** Asserts that a call fails with a failure of this type. @returns the failure. */
export async function assertFails(
  call: Promise<unknown>,
  { type, isFinal }: { type: string; isFinal: boolean },
): Promise<ApplicationFailure> {
  const failure = await call.then(
    (value) => assert.fail(`expected ${type}, but the call returned ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (!(failure instanceof ApplicationFailure))
    throw new assert.AssertionError({ message: `expected ${type}, but the call threw ${String(failure)}` });
  assert.equal(failure.type, type, `the type of the failure "${failure.message}"`);
  assert.equal(failure.nonRetryable ?? false, isFinal, `whether ${type} is final`);
  return failure;
}

/** Cancels an attempt whose call the partner holds. The attempt must fail, and the call can still take effect later. */
export async function cancelHeldAttempt(
  { arrived }: HeldCalls,
  call: (env: MockActivityEnvironment) => Promise<unknown>,
): Promise<void> {
  const env = createEnvironment();
  const attempt = call(env).then(
    () => 'succeeded',
    () => 'failed',
  );
  const first = await Promise.race([arrived.then(() => 'arrived'), attempt]);
  assert.equal(first, 'arrived', 'the first event of the attempt');
  env.cancel();
  assert.equal(await attempt, 'failed', 'a cancelled attempt');
}

/** Asserts that a call that gets no response fails in time. */
export async function assertTimesOut(
  call: () => Promise<unknown>,
  failure: { type: string; isFinal: boolean },
  limitMs = MAX_ATTEMPT_MS,
): Promise<void> {
  const startedAt = performance.now();
  await assertFails(call(), failure);
  const durationMs = performance.now() - startedAt;
  assert.ok(durationMs < limitMs, `the attempt took ${Math.round(durationMs)} ms`);
}
