import { describe, expect, test } from 'vitest';
import {
  APPROVAL_TASK_QUEUE,
  approvalDueAtAttribute,
  approvalIdOf,
  approvalQuery,
  approvalStatusAttribute,
  approvalWorkflowId,
  approversAttribute,
  decideSignal,
  decideUpdate,
  withdrawUpdate,
} from '../../../src/workflows/approval/contract.js';

describe('names that are in histories and scripts', () => {
  test('when something is named, then it is called as ever', () => {
    expect(APPROVAL_TASK_QUEUE).toBe('approvals');
    expect([approvalQuery, decideUpdate, decideSignal, withdrawUpdate].map(({ type, name }) => [type, name])).toEqual([
      ['query', 'approval'],
      ['update', 'decide'],
      ['signal', 'decide'],
      ['update', 'withdraw'],
    ]);
    expect([approvalStatusAttribute, approversAttribute, approvalDueAtAttribute]).toMatchObject([
      { name: 'ApprovalStatus', type: 'KEYWORD' },
      { name: 'Approvers', type: 'KEYWORD_LIST' },
      { name: 'ApprovalDueAt', type: 'DATETIME' },
    ]);
  });

  test.each([
    ['new-roaster', 'approval:new-roaster'],
    ['an-approval:a', 'approval:an-approval:a'],
  ])('when an approval is %s, then its workflow id is %s, and the way back leads to it', (approvalId, workflowId) => {
    expect(approvalWorkflowId(approvalId)).toBe(workflowId);
    expect(approvalIdOf(workflowId)).toBe(approvalId);
  });

  test('when an id is no workflow id of an approval, then it stays as it is', () => {
    expect(approvalIdOf('no-approval:a')).toBe('no-approval:a');
  });
});
