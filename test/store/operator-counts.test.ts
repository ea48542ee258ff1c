import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { selectOverdueApprovalCount, selectPendingApprovalCount } from '../../src/store/approvals.js';
import { selectBatchIdleSeconds } from '../../src/store/batches/progress.js';
import type { Store } from '../../src/store/index.js';
import { expectReadByIndex } from '../support/database/query-plans.js';
import { useTestStore } from '../support/database/test-store.js';

const ROW_COUNT = 20_000;
const PENDING_COUNT = 1_000;
const OVERDUE_COUNT = 40;
/** Approvals that were opened before the column `due_at` existed. */
const OLD_COUNT = 10;
const RUNNING_BATCH_COUNT = 100;
const CHUNKS_PER_BATCH = 300;

let store: Store;

useTestStore(async (opened) => {
  store = opened;
  // Every second overdue approval has reached its second stage, whose deadline is in the future.
  await sql`
    insert into approvals
      (approval_id, first_run_id, content_hash, status, title, requested_by, stage, stages, approvers, requested_at,
       deadline, due_at)
    select 'approval-' || n, 'run', 'hash', case when n > ${PENDING_COUNT} then 'approved' else 'pending' end, 'May I?',
      'ada', 1, 2, '{}', now() - interval '2 hours',
      case when n <= ${OVERDUE_COUNT} and n % 2 = 0 then now() - interval '1 hour' else now() + interval '1 day' end,
      case when n <= ${OLD_COUNT} then null
        when n <= ${OVERDUE_COUNT} or n > ${PENDING_COUNT} then now() - interval '1 hour'
        else now() + interval '1 day' end
    from generate_series(1, ${ROW_COUNT}::int) as n`.execute(store.db);
  await sql`
    insert into batches (batch_id, operation, items_per_chunk, total, content_hash, status)
    select 'batch-' || n, 'restock', 1, ${CHUNKS_PER_BATCH}::int, 'hash', 'completed'
    from generate_series(1, ${ROW_COUNT}::int) as n`.execute(store.db);
  await sql`
    insert into batch_attempts (attempt_id, batch_id, attempt, chunk_count, succeeded_before, opened_at)
    select n, 'batch-' || n, 1, ${CHUNKS_PER_BATCH}::int, 0, now() - interval '1 day'
    from generate_series(1, ${ROW_COUNT}::int) as n`.execute(store.db);
  // The last chunk of batch n changed n minutes ago.
  await sql`
    insert into batch_chunks (attempt_id, chunk_index, items, item_count, changed_at)
    select n, chunk, '[]', 1, now() - n * interval '1 minute' - chunk * interval '1 second'
    from generate_series(1, ${RUNNING_BATCH_COUNT}::int) as n, generate_series(0, ${CHUNKS_PER_BATCH - 1}::int) as chunk`.execute(
    store.db,
  );
  await sql`vacuum analyze approvals, batches, batch_attempts, batch_chunks`.execute(store.db);
});

test('counts the pending approvals whose first stage has expired, also in a later stage, by an index', async () => {
  const overdueWithoutDueAt = OLD_COUNT / 2;
  expect(await store.countOverdueApprovals()).toBe(OVERDUE_COUNT - OLD_COUNT + overdueWithoutDueAt);
  await expectReadByIndex(selectOverdueApprovalCount(store.db), 100);
});

test('counts the pending approvals by an index', async () => {
  expect(await store.countPendingApprovals()).toBe(PENDING_COUNT);
  await expectReadByIndex(selectPendingApprovalCount(store.db), PENDING_COUNT);
});

test('reads the idle time of each running batch from one index entry, however many chunks the batch has', async () => {
  const ids = Array.from({ length: RUNNING_BATCH_COUNT }, (_, index) => `batch-${index + 1}`);
  const minutes = (await store.readBatchIdleSeconds(ids)).map((seconds) => Math.floor(seconds / 60));
  expect(minutes.sort((one, two) => one - two)).toEqual(ids.map((_, index) => index + 1));
  await expectReadByIndex(selectBatchIdleSeconds(store.db, ids), 10 * RUNNING_BATCH_COUNT);
});
