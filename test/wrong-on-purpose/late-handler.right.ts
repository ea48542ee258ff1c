import { condition, defineUpdate, setHandler, sleep } from '@temporalio/workflow';

/** Listens before anything else; a decision may come at any time. */
export async function listensFirst(): Promise<string | undefined> {
  let decision: string | undefined;
  setHandler(defineUpdate<string, [string]>('decide'), (made) => (decision = made));
  await Promise.race([sleep('1 hour'), condition(() => decision !== undefined)]);
  await condition(() => decision !== undefined);
  return decision;
}
