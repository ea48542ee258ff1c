import { continueAsNew } from '@temporalio/workflow';

/** Passes plain JSON to the next run. */
export async function continueWithPlainJson(
  first: boolean,
  cart?: Record<string, number>,
): Promise<number | undefined> {
  if (first) await continueAsNew<typeof continueWithPlainJson>(false, { MUG: 2 });
  return cart?.MUG;
}
