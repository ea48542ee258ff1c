import { condition, defineUpdate, setHandler, sleep } from '@temporalio/workflow';

/** Listens after its first step: who decides before that is turned away. */
export async function listensLate(): Promise<string | undefined> {
  let decision: string | undefined;
  await sleep('1 hour');
  setHandler(defineUpdate<string, [string]>('decide'), (made) => (decision = made));
  await condition(() => decision !== undefined);
  return decision;
}
