import { expect, test } from 'vitest';
import { approvalId } from '../../src/schemas/approval.js';
import { callerId, businessId, idempotencyKey, MAX_CALLER_ID_LENGTH } from '../../src/schemas/shared/primitives.js';
import {
  MAX_APPROVAL_ID_LENGTH,
  MAX_ID_LENGTH,
  MAX_IDEMPOTENCY_KEY_LENGTH,
  TEMPORAL_LIMITS,
} from '../support/api/generated-documents.js';

test.each(TEMPORAL_LIMITS)(
  'Temporal limits $name to $temporalMaximum, and $reachedBy stays within this limit',
  ({ temporalMaximum, projectMaximum }) => {
    expect(projectMaximum).toBeGreaterThan(0);
    expect(projectMaximum).toBeLessThanOrEqual(temporalMaximum);
  },
);

test.each([
  ['an id', businessId, MAX_ID_LENGTH],
  ['the id of a caller', callerId, MAX_CALLER_ID_LENGTH],
  ['the id of an approval', approvalId, MAX_APPROVAL_ID_LENGTH],
  ['an Idempotency-Key', idempotencyKey, MAX_IDEMPOTENCY_KEY_LENGTH],
])('the schema rejects %s that is longer than the documented limit', (_description, schema, length) => {
  expect(schema.safeParse('x'.repeat(length)).success).toBe(true);
  expect(schema.safeParse('x'.repeat(length + 1)).success).toBe(false);
});
