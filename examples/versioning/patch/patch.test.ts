import { expect, test } from 'vitest';
import '../../../test/support/quiet-runtime.js';
import { replays } from '../replays.js';

const NO_PATCH = 'the history has the patch insure-parcels, the code does not ask for it';
const INSURED = 'activity type in the history is insure, in the code ship';
const NOT_INSURED = 'activity type in the history is ship, in the code insure';

test.each<[string, Record<string, string>]>([
  [
    '1-original',
    {
      '0-waiting': 'replays',
      '1-original': 'replays',
      '2-patched': NO_PATCH,
      '3-deprecated': INSURED,
      '4-removed': INSURED,
    },
  ],
  [
    '2-patched',
    {
      '0-waiting': 'replays',
      '1-original': 'replays',
      '2-patched': 'replays',
      '3-deprecated': 'replays',
      '4-removed': INSURED,
    },
  ],
  [
    '3-deprecated',
    {
      '0-waiting': 'replays',
      '1-original': NOT_INSURED,
      '2-patched': 'replays',
      '3-deprecated': 'replays',
      '4-removed': 'replays',
    },
  ],
  [
    '4-removed',
    {
      '0-waiting': 'replays',
      '1-original': NOT_INSURED,
      '2-patched': NO_PATCH,
      '3-deprecated': 'replays',
      '4-removed': 'replays',
    },
  ],
])('%s replays the histories of its own and of the previous release', async (code, outcomes) => {
  expect(await replays('patch', `patch/${code}.ts`)).toEqual(outcomes);
});
