import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Schema } from './schema.js';

/** What the shop does with a table. Columns are those that change; a row is also locked by the right to change one. */
interface Rights<Table extends keyof Schema> {
  insert?: true;
  update?: readonly (keyof Schema[Table] & string)[];
  delete?: true;
}

/** Beside reading, everything that worker and API need: neither owns a table, and neither sees the migrations. */
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
  // Retries of one batch wait for each other at its row.
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

/** Numbers that are asked for before the row is written. */
const SEQUENCES = ['batch_rounds_round_id_seq'] as const;

/**
 * Gives a role what worker and API need of the tables, and takes away what else it had of them. Repeating it changes
 * nothing. Run by the owner of the tables.
 *
 * @throws OwnerNeedsAll when the role owns the tables, or is the one that this runs as.
 * @throws when there is no such role (SQLSTATE 42704).
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

/** The role has to stay what it is: without its rights nobody could change the tables. */
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
