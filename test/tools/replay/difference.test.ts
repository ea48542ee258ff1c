import { expect, test } from 'vitest';
import { nondeterminismMessage, parseDifference } from '../../../tools/replay/difference.js';

test("nondeterminismMessage quotes the SDK's message unchanged if it is not valid JSON", () => {
  const words = String.raw`Activity type of scheduled event 'e\u{301}' does not match activity type of activity command 'pack'`;
  const error = new Error(
    `Failure { failure: Some(Failure { message: "[TMPRL1100] Nondeterminism error: ${words}" }) }`,
  );

  expect(nondeterminismMessage(error)).toBe(words);
  expect(parseDifference(nondeterminismMessage(error), []).description).toBe(
    String.raw`activity type in the history is e\u{301}, in the code pack`,
  );
});
