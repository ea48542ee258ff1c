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

describe('approval wire names', () => {
  test('approval wire names are stable', () => {
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
  ])('maps approval %s to workflow id %s and back', (approvalId, workflowId) => {
    expect(approvalWorkflowId(approvalId)).toBe(workflowId);
    expect(approvalIdOf(workflowId)).toBe(approvalId);
  });

  test('approvalIdOf returns an id unchanged if it is not the workflow id of an approval', () => {
    expect(approvalIdOf('no-approval:a')).toBe('no-approval:a');
  });
});
