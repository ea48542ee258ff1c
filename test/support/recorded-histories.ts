import { test } from 'vitest';
import { committedHistories } from '../../dev/replay/histories.js';

/** The histories under test/replay/histories, sorted by file name. */
export const recordedHistories = await committedHistories();

/** Like `test`, for tests that need recorded histories. Until the first generation is recorded, they are skipped. */
export function testWithHistories(title: string, run: () => Promise<void>): void {
  if (recordedHistories.length > 0) test(title, run);
  else test.skip(`${title} (skipped: no histories are recorded yet, see npm run record-histories)`, run);
}
