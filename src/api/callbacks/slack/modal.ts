import { MAX_COMMENT_LENGTH } from '../../../schemas/approval.js';
import { COMMENT_INPUT, DECISION_INPUT, DECISION_MODAL, type ApprovalRef } from '../../../slack/approval-actions.js';

const plain = (text: string) => ({ type: 'plain_text', text });

const option = (text: string, value: string) => ({ text: plain(text), value });

/** The modal that asks for a decision with a comment. */
export const decisionModal = (ref: ApprovalRef) => ({
  type: 'modal',
  callback_id: DECISION_MODAL,
  private_metadata: JSON.stringify(ref),
  title: plain('Decide'),
  submit: plain('Submit'),
  close: plain('Cancel'),
  blocks: [
    {
      type: 'input',
      block_id: DECISION_INPUT,
      label: plain('Decision'),
      element: {
        type: 'radio_buttons',
        action_id: DECISION_INPUT,
        options: [option('Approve', 'approve'), option('Reject', 'reject')],
      },
    },
    {
      type: 'input',
      block_id: COMMENT_INPUT,
      optional: true,
      label: plain('Comment'),
      hint: plain('The comment is stored with your decision. The first decision counts.'),
      element: {
        type: 'plain_text_input',
        action_id: COMMENT_INPUT,
        multiline: true,
        max_length: MAX_COMMENT_LENGTH,
      },
    },
  ],
});
