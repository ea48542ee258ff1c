// The names that a message, the modal and the interactions of Slack share.

/** The buttons of a message. Slack returns the id of the clicked button. */
export const APPROVE_ACTION = 'approve';
export const REJECT_ACTION = 'reject';
export const COMMENT_ACTION = 'decide_with_comment';

/** The modal that asks for a decision with a comment. */
export const DECISION_MODAL = 'decision';
/** The ids of the inputs of the modal. A block and its input have the same id. */
export const DECISION_INPUT = 'decision';
export const COMMENT_INPUT = 'comment';

/** What a button and the modal decide. Slack returns this value with each interaction. */
export interface ApprovalRef {
  approvalId: string;
  /** The first run id of the execution chain that sent the message. It does not change after a reset. */
  firstRunId: string;
  /** Counted from 1. */
  stage: number;
}
