import { expect, test } from 'vitest';
import '../../../test/support/setup/quiet-runtime.js';
import { replayHistories } from '../replay-histories.js';

const PATCH_NOT_ASKED_FOR = 'the history has the patch insure-parcels, the code does not use it';
const HISTORY_IS_INSURED = 'activity type in the history is insure, in the code ship';
const CODE_IS_INSURED = 'activity type in the history is ship, in the code insure';

test.each<[string, Record<string, string>]>([
  [
    '1-original',
    {
      '0-waiting': 'replays',
      '1-original': 'replays',
      '2-patched': PATCH_NOT_ASKED_FOR,
      '3-deprecated': HISTORY_IS_INSURED,
      '4-removed': HISTORY_IS_INSURED,
    },
  ],
  [
    '2-patched',
    {
      '0-waiting': 'replays',
      '1-original': 'replays',
      '2-patched': 'replays',
      '3-deprecated': 'replays',
      '4-removed': HISTORY_IS_INSURED,
    },
  ],
  [
    '3-deprecated',
    {
      '0-waiting': 'replays',
      '1-original': CODE_IS_INSURED,
      '2-patched': 'replays',
      '3-deprecated': 'replays',
      '4-removed': 'replays',
    },
  ],
  [
    '4-removed',
    {
      '0-waiting': 'replays',
      '1-original': CODE_IS_INSURED,
      '2-patched': PATCH_NOT_ASKED_FOR,
      '3-deprecated': 'replays',
      '4-removed': 'replays',
    },
  ],
])('%s replays the histories of its own release and of the previous release', async (code, outcomes) => {
  expect(await replayHistories('patch', `patch/${code}.ts`)).toEqual(outcomes);
});
