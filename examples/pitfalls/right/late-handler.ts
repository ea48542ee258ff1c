import { condition, defineUpdate, setHandler, sleep } from '@temporalio/workflow';

/** Sets the handler first, because a decision may arrive at any time. */
export async function setHandlerFirst(): Promise<string | undefined> {
  let decision: string | undefined;
  setHandler(defineUpdate<string, [string]>('decide'), (made) => (decision = made));
  await Promise.race([sleep('1 hour'), condition(() => decision !== undefined)]);
  await condition(() => decision !== undefined);
  return decision;
}
