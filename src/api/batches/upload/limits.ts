import type { Config } from '../../../config/read.js';

/** The period in which the average speed of an upload must reach the minimum. */
const SPEED_CHECK_MS = 30_000;

/** The limits of uploads to this process. */
export interface BatchUploadLimits {
  /** Maximum size of an upload after its decompression. */
  maxBytes: number;
  /** Maximum number of characters in a line. */
  maxLineLength: number;
  /** Maximum number of concurrent uploads. */
  maxUploads: number;
  maxUploadsPerCaller: number;
  minBytesPerSecond: number;
  /** The period in which the average speed of an upload must reach the minimum. */
  speedCheckMs: number;
}

export function readBatchUploadLimits(config: Config<'api'>): BatchUploadLimits {
  return {
    maxBytes: config.BATCH_MAX_BYTES,
    maxLineLength: config.BATCH_MAX_LINE_LENGTH,
    maxUploads: config.BATCH_MAX_UPLOADS,
    maxUploadsPerCaller: config.BATCH_MAX_UPLOADS_PER_CALLER,
    minBytesPerSecond: config.BATCH_MIN_BYTES_PER_SECOND,
    speedCheckMs: SPEED_CHECK_MS,
  };
}
