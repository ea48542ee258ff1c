import { continueAsNew } from '@temporalio/workflow';

/** Hands a Map to the next run, which gets `{}`: JSON knows no Map. */
export async function carriesAMap(first: boolean, cart?: Map<string, number>): Promise<number | undefined> {
  if (first) await continueAsNew<typeof carriesAMap>(false, new Map([['MUG', 2]]));
  return cart?.get('MUG');
}
