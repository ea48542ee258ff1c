import { httpProblem } from '../../problems/http-problem.js';
import type { BatchUploadLimits } from './limits.js';

/**
 * Limits the concurrent uploads to this process, in total and for each caller, so that the slow uploads of one caller
 * leave slots for the other callers.
 */
export function createUploadSlots({
  maxUploads,
  maxUploadsPerCaller,
}: Pick<BatchUploadLimits, 'maxUploads' | 'maxUploadsPerCaller'>) {
  const usedByCaller = new Map<string, number>();
  let used = 0;

  /** @returns a function that frees the slot. @throws 503 `too-many-uploads`. */
  return function takeSlot(callerId: string): () => void {
    const usedByThis = usedByCaller.get(callerId) ?? 0;
    if (usedByThis >= maxUploadsPerCaller) throw tooManyUploads(`${maxUploadsPerCaller} uploads of this caller`);
    if (used >= maxUploads) throw tooManyUploads(`${maxUploads} uploads`);
    usedByCaller.set(callerId, usedByThis + 1);
    used += 1;
    return () => {
      used -= 1;
      const left = usedByCaller.get(callerId)! - 1;
      if (left === 0) usedByCaller.delete(callerId);
      else usedByCaller.set(callerId, left);
    };
  };
}

const tooManyUploads = (uploads: string) =>
  httpProblem('too-many-uploads', `${uploads} are in progress, which is the maximum; retry later`);
