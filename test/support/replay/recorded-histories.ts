import { readCommittedHistories } from '../../../tools/replay/histories.js';

/** The histories under test/replay/histories, sorted by file name. */
export const recordedHistories = await readCommittedHistories();
