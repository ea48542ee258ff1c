import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Tables } from '../tables.js';

/**
 * The privileges that the shop needs on a table. `update` lists the columns that change. Locking a row requires the
 * privilege to update at least one column.
 */
interface TablePrivileges<Table extends keyof Tables> {
  insert?: true;
  update?: readonly (keyof Tables[Table] & string)[];
  delete?: true;
}

/**
 * The privileges that worker and API need in addition to SELECT. Their role owns no table and cannot read the
 * migrations.
 */
const APP_ROLE_PRIVILEGES: { [Table in keyof Tables]: TablePrivileges<Table> } = {
  products: { update: ['stock', 'reserved', 'sold', 'price_value', 'price_batch', 'price_line'] },
  orders: {
    insert: true,
    update: [
      'customer_id',
      'content_hash',
      'status',
      'stage',
      'reservation',
      'lines',
      'total_value',
      'total_currency',
      'run_id',
      'view',
      'updated_at',
      'closed_at',
      'rolled_back_at',
      'erased_at',
    ],
  },
  unreconciled_orders: { insert: true, update: ['problem', 'tried_at', 'audit_run_id'], delete: true },
  daily_reports: { insert: true, update: ['figures', 'written_at'] },
  notifications: { insert: true, delete: true },
  carts: { insert: true, update: ['cart_id', 'customer_id', 'status', 'order_id', 'content_hash', 'closed_at'] },
  // Opening an attempt locks the row of its batch, which requires an UPDATE privilege.
  batches: {
    insert: true,
    update: [
      'status',
      'succeeded',
      'failed',
      'items_per_second',
      'progress_at',
      'started_at',
      'closed_at',
      'items_expired_at',
      'items_deleted_at',
    ],
  },
  batch_attempts: { insert: true, update: ['first_run_id', 'opened_at'] },
  batch_chunks: {
    insert: true,
    update: ['items', 'outcome', 'processed_count', 'succeeded', 'failed', 'failures', 'reason', 'changed_at'],
  },
  batch_uploads: { insert: true, update: ['last_part_at', 'abandoned_at'], delete: true },
  idempotency_keys: {
    insert: true,
    update: ['fingerprint', 'claim', 'claimed_at', 'status', 'headers', 'body'],
    delete: true,
  },
  shipment_reports: { insert: true },
  payment_events: { insert: true, delete: true },
  approvals: {
    insert: true,
    update: [
      'first_run_id',
      'content_hash',
      'title',
      'requested_by',
      'status',
      'stage',
      'approvers',
      'deadline',
      'due_at',
      'closed_at',
      'final_view',
      'later_comments',
    ],
  },
  approval_messages: { insert: true },
};

/** The code takes an id from these sequences before it inserts the row. */
const READ_SEQUENCES = ['batch_attempts_attempt_id_seq'] as const;

/** Functions that run with the privileges of the owner. */
const OWNER_FUNCTIONS = ['delete_upload_chunks'] as const;

/**
 * Grants a role the privileges on tables, sequences and functions that worker and API need, and revokes all other
 * privileges on tables and sequences. Idempotent. The current user must own the tables.
 *
 * @throws TableOwnerRoleError when the role owns the tables or is the current user.
 * @throws an error with SQLSTATE 42704 when the role does not exist.
 */
export async function grantAppRolePrivileges(db: Kysely<Tables>, role: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { rows } = await sql`
      select 1 where ${role} = current_user
      union all select 1 from pg_tables where schemaname = 'public' and tableowner = ${role}`.execute(tx);
    if (rows.length > 0) throw new TableOwnerRoleError(role);
    const to = sql.id(role);
    await sql`revoke all on all tables in schema public from ${to}`.execute(tx);
    await sql`revoke all on all sequences in schema public from ${to}`.execute(tx);
    await sql`grant usage on schema public to ${to}`.execute(tx);
    for (const [table, privileges] of Object.entries(APP_ROLE_PRIVILEGES)) {
      await sql`grant ${sql.join(privilegeClauses(privileges))} on ${sql.id(table)} to ${to}`.execute(tx);
    }
    for (const sequence of READ_SEQUENCES) await sql`grant usage on sequence ${sql.id(sequence)} to ${to}`.execute(tx);
    for (const name of OWNER_FUNCTIONS) await sql`grant execute on function ${sql.id(name)} to ${to}`.execute(tx);
  });
}

/**
 * Thrown for a role that owns the tables or runs the setup. Without the privileges of that role, no role could change
 * the tables.
 */
export class TableOwnerRoleError extends Error {
  constructor(role: string) {
    super(`role ${role} owns the tables`);
  }
}

type AnyTablePrivileges = Omit<TablePrivileges<never>, 'update'> & { update?: readonly string[] };

function privilegeClauses({ insert, update, delete: remove }: AnyTablePrivileges): RawBuilder<unknown>[] {
  return [
    sql`select`,
    ...(insert ? [sql`insert`] : []),
    ...(update ? [sql`update (${sql.join(update.map((column) => sql.id(column)))})`] : []),
    ...(remove ? [sql`delete`] : []),
  ];
}
