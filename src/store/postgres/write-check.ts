import type pg from 'pg';
import { SQLSTATE, sqlStateOf } from './sqlstate.js';

/** `ok`, or why the database does not accept writes. */
export type WriteCheckResult =
  'ok' | 'the database does not answer' | 'the database is read-only' | 'the disk of the database is full';

/** Callers share a result for this time, so the load on the database does not depend on the number of callers. */
const RESULT_CACHE_MS = 3_000;

/**
 * The query writes a temporary file of about 200 KB next to the tables, and returns whether transactions may write. An
 * insert with a rollback would not always detect a full disk, because the insert succeeds while the table's last page
 * has room (measured on PostgreSQL 18). A temporary file needs no privilege, writes no WAL and leaves no dead row.
 */
const BEGIN_SQL = `begin; set local work_mem = '64kB'; set local temp_tablespaces = ''`;
const SPILL_TO_DISK_SQL = `select current_setting('transaction_read_only') = 'on' as read_only, count(*) from generate_series(1, 10000)`;

/** Query timeout. It also applies when the connection is broken and no response arrives. */
const QUERY_TIMEOUT_MS = 4_000;

/** Creates a check that concurrent callers share. Callers get the same result for 3 s. */
export function createWriteCheck(pool: pg.Pool): () => Promise<WriteCheckResult> {
  let latest: Promise<WriteCheckResult> | undefined;
  return () => {
    if (latest) return latest;
    latest = checkWrites(pool);
    void latest.finally(() => setTimeout(() => (latest = undefined), RESULT_CACHE_MS).unref());
    return latest;
  };
}

async function checkWrites(pool: pg.Pool): Promise<WriteCheckResult> {
  try {
    const client = await pool.connect();
    const query = <Row extends pg.QueryResultRow>(text: string) =>
      client.query<Row>({ text, query_timeout: QUERY_TIMEOUT_MS } as pg.QueryConfig);
    let failure: Error | undefined;
    try {
      await query(BEGIN_SQL);
      const { rows } = await query<{ read_only: boolean }>(SPILL_TO_DISK_SQL);
      await query('rollback');
      return rows[0]?.read_only ? 'the database is read-only' : 'ok';
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // After a failure, the connection is broken or in a failed transaction, so the pool must discard the connection.
      client.release(failure);
    }
  } catch (error) {
    return sqlStateOf(error) === SQLSTATE.diskFull
      ? 'the disk of the database is full'
      : 'the database does not answer';
  }
}
