import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Schema } from './schema.js';

/**
 * The privileges that the shop needs on a table. `update` lists the columns that change; locking a row needs the
 * privilege to update one column.
 */
interface Rights<Table extends keyof Schema> {
  insert?: true;
  update?: readonly (keyof Schema[Table] & string)[];
  delete?: true;
}

/** The privileges of worker and API beside SELECT. Neither process owns a table or can read the migrations. */
const RIGHTS: { [Table in keyof Schema]: Rights<Table> } = {
  products: { update: ['stock', 'price_value', 'price_batch', 'price_line'] },
  orders: {
    insert: true,
    update: [
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
    ],
  },
  notifications: { insert: true },
  carts: { insert: true, update: ['status', 'order_id', 'content_hash', 'closed_at'] },
  // Retries of one batch lock its row.
  batches: {
    insert: true,
    update: ['status', 'succeeded', 'failed', 'items_per_second', 'progress_at', 'started_at', 'closed_at'],
  },
  batch_rounds: { insert: true, update: ['opened_by', 'opened_at'] },
  batch_tasks: {
    insert: true,
    update: ['outcome', 'position', 'succeeded', 'failed', 'failures', 'reason', 'changed_at'],
  },
  idempotency_keys: {
    insert: true,
    update: ['fingerprint', 'claim', 'claimed_at', 'status', 'headers', 'body'],
    delete: true,
  },
  shipment_reports: { insert: true },
  approvals: {
    insert: true,
    update: ['first_run_id', 'status', 'stage', 'approvers', 'deadline', 'closed_at', 'final_view', 'later_comments'],
  },
  approval_messages: { insert: true },
};

/** Sequences that the code reads before it inserts the row. */
const SEQUENCES = ['batch_rounds_round_id_seq'] as const;

/**
 * Grants a role the privileges that worker and API need, and revokes all its others on tables and sequences.
 * Idempotent. The owner of the tables must run it.
 *
 * @throws OwnerNeedsAll when the role owns the tables or is the current user.
 * @throws when the role does not exist (SQLSTATE 42704).
 */
export async function grantRights(db: Kysely<Schema>, role: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { rows } = await sql`
      select 1 where ${role} = current_user
      union all select 1 from pg_tables where schemaname = 'public' and tableowner = ${role}`.execute(tx);
    if (rows.length > 0) throw new OwnerNeedsAll(role);
    const to = sql.id(role);
    await sql`revoke all on all tables in schema public from ${to}`.execute(tx);
    await sql`revoke all on all sequences in schema public from ${to}`.execute(tx);
    await sql`grant usage on schema public to ${to}`.execute(tx);
    for (const [table, rights] of Object.entries(RIGHTS)) {
      await sql`grant ${sql.join(privileges(rights))} on ${sql.id(table)} to ${to}`.execute(tx);
    }
    for (const sequence of SEQUENCES) await sql`grant usage on sequence ${sql.id(sequence)} to ${to}`.execute(tx);
  });
}

/** Rejects a role that owns the tables or runs the setup. Without its privileges, no role could change the tables. */
export class OwnerNeedsAll extends Error {
  constructor(role: string) {
    super(`role ${role} owns the tables`);
  }
}

type AnyRights = Omit<Rights<never>, 'update'> & { update?: readonly string[] };

function privileges({ insert, update, delete: remove }: AnyRights): RawBuilder<unknown>[] {
  return [
    sql`select`,
    ...(insert ? [sql`insert`] : []),
    ...(update ? [sql`update (${sql.join(update.map((column) => sql.id(column)))})`] : []),
    ...(remove ? [sql`delete`] : []),
  ];
}
