import { continueAsNew } from '@temporalio/workflow';

/** Passes a Map to the next run. JSON has no Map, so the next run receives `{}`. */
export async function continueWithMap(first: boolean, cart?: Map<string, number>): Promise<number | undefined> {
  if (first) await continueAsNew<typeof continueWithMap>(false, new Map([['MUG', 2]]));
  return cart?.get('MUG');
}
