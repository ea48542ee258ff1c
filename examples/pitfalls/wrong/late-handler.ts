import { condition, defineUpdate, setHandler, sleep } from '@temporalio/workflow';

/** Sets the handler after the first step of the workflow, so a decision that arrives during that step is rejected. */
export async function setHandlerLate(): Promise<string | undefined> {
  let decision: string | undefined;
  await sleep('1 hour');
  setHandler(defineUpdate<string, [string]>('decide'), (made) => (decision = made));
  await condition(() => decision !== undefined);
  return decision;
}
