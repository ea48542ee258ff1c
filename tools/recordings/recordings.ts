import { approvalRecordings } from './approvals.js';
import { batchRecordings } from './batches.js';
import { cartRecordings } from './carts.js';
import { housekeepingRecordings } from './housekeeping.js';
import { orderRecordings } from './orders.js';
import type { Recording } from './recorder.js';

/** All recordings, by the name of the history file. */
export const recordings: Record<string, Recording> = {
  ...orderRecordings,
  ...cartRecordings,
  ...approvalRecordings,
  ...batchRecordings,
  ...housekeepingRecordings,
};
