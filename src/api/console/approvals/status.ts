import type { ApprovalResource, ApprovalStatus } from '../../../schemas/approval.js';
import type { Tone } from '../components.js';

export const STATUS_TONES: Record<ApprovalStatus, Tone> = {
  pending: 'active',
  approved: 'good',
  rejected: 'bad',
  timed_out: 'attention',
  withdrawn: 'neutral',
};

/** Whether nobody can change the approval, and its outcome is reported. Its page is no longer live. */
export const isFinal = ({ status, callbackDelivery, retrying, waiting }: ApprovalResource): boolean =>
  status !== 'pending' && callbackDelivery?.status !== 'pending' && !retrying && !waiting;

/** Whether the deadline has passed and nobody has decided. The workflow then waits for a worker. */
export const isOverdue = ({ status, deadline }: { status: ApprovalStatus; deadline?: string | undefined }): boolean =>
  status === 'pending' && deadline !== undefined && Date.parse(deadline) < Date.now();
