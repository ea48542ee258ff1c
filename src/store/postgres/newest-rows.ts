import { sql, type Kysely, type SelectQueryBuilder } from 'kysely';
import type { Tables } from '../tables.js';

interface NewestRows<Status, Table extends keyof Tables, Row> {
  /** Undefined for rows of any status. */
  statuses: readonly Status[] | undefined;
  /** Selects at most `limit` rows of a status, newest first. */
  selectNewest: (status?: Status) => SelectQueryBuilder<Tables, Table, Row>;
  limit: number;
}

/**
 * The newest rows with one of these statuses, newest first. Reads each status by its own index scan, which sorts only
 * the rows of one status.
 */
export function selectNewestRows<Status, Table extends keyof Tables, Row>(
  db: Kysely<Tables>,
  { statuses, selectNewest, limit }: NewestRows<Status, Table, Row>,
) {
  const parts = (statuses ?? [undefined]).map((status) => sql`(${selectNewest(status)})`);
  const union = sql<Row>`(${sql.join(parts, sql` union all `)})`.as<'newest'>(sql.ref('newest'));
  return db
    .selectFrom(union)
    .selectAll()
    .orderBy(sql`number`, 'desc')
    .limit(limit)
    .$castTo<Row>();
}
