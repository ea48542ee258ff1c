import { condition, defineQuery, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';

// Each workflow reproduces a symptom of docs/symptoms.md.

const { notRegistered } = proxyActivities<{ notRegistered: () => Promise<void> }>({
  startToCloseTimeout: '5 seconds',
  retry: { maximumAttempts: 1 },
});

/** Waits forever, and answers the query `view` and the update `touch`. */
export async function waitForever(): Promise<void> {
  setHandler(defineQuery<number>('view'), () => 1);
  setHandler(defineUpdate<number>('touch'), () => 1);
  await condition(() => false);
}

export async function callUnregisteredActivity(): Promise<void> {
  await notRegistered();
}

export async function runWithoutAwait(): Promise<void> {
  for (;;);
  await condition(() => true);
}

export async function useWeakRef(): Promise<void> {
  new WeakRef({});
  await condition(() => true);
}

export async function throwTypeError(input?: { order: { id: string } }): Promise<string> {
  await condition(() => true);
  return input!.order.id;
}
