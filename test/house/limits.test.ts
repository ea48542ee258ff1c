import { expect, test } from 'vitest';
import { LIMIT_ROWS, MAX_APPROVAL_ID, MAX_ID, MAX_KEY } from '../../tools/openapi/limit-table.js';
import { approvalId } from '../../src/schemas/approval.js';
import { callerId, id, idempotencyKey, MAX_CALLER_ID } from '../../src/schemas/text.js';

test.each(LIMIT_ROWS)('Temporal limits $what to $temporal, and $whose allows no more', ({ temporal, ours }) => {
  expect(ours).toBeGreaterThan(0);
  expect(ours).toBeLessThanOrEqual(temporal);
});

test.each([
  ['an id', id, MAX_ID],
  ['the id of a caller', callerId, MAX_CALLER_ID],
  ['the id of an approval', approvalId, MAX_APPROVAL_ID],
  ['an Idempotency-Key', idempotencyKey, MAX_KEY],
])('rejects %s that is longer than the documented limit', (_what, schema, length) => {
  expect(schema.safeParse('x'.repeat(length)).success).toBe(true);
  expect(schema.safeParse('x'.repeat(length + 1)).success).toBe(false);
});
