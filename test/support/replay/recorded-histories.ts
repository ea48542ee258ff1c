import { readCommittedHistories } from '../../../tools/replay/histories.js';

/** The committed histories in test/replay/histories, sorted by file name. */
export const recordedHistories = await readCommittedHistories();
