import type pg from 'pg';

/** Whether the database can be written to, or why not. */
export type Writability =
  'ok' | 'the database does not answer' | 'the database is read-only' | 'the disk of the database is full';

/** SQLSTATE `disk_full`. */
const DISK_FULL = '53100';

/** The database is asked at most so often, however many callers there are. */
const KEEP_ANSWER_MS = 3_000;

/**
 * Spills some 200 KB to a temporary file beside the tables, and returns whether transactions may write. An insert that is
 * rolled back would not do: with a full disk it succeeds as long as the table's last page has room (measured on
 * PostgreSQL 18). A temporary file needs no right, writes no WAL and leaves no dead row.
 */
const PREPARE = `begin; set local work_mem = '64kB'; set local temp_tablespaces = ''`;
const SPILL = `select current_setting('transaction_read_only') = 'on' as read_only, count(*) from generate_series(1, 10000)`;

/** How long a query may take; an answer that never comes on a broken connection ends with it. */
const QUERY_TIMEOUT_MS = 4_000;

/** A check that callers share: while one is under way, and for some seconds after it, all get its answer. */
export function createWriteCheck(pool: pg.Pool): () => Promise<Writability> {
  let latest: Promise<Writability> | undefined;
  return () => {
    if (latest) return latest;
    latest = check(pool);
    void latest.finally(() => setTimeout(() => (latest = undefined), KEEP_ANSWER_MS).unref());
    return latest;
  };
}

async function check(pool: pg.Pool): Promise<Writability> {
  try {
    const client = await pool.connect();
    const query = <Row extends pg.QueryResultRow>(text: string) =>
      client.query<Row>({ text, query_timeout: QUERY_TIMEOUT_MS } as pg.QueryConfig);
    let failure: Error | undefined;
    try {
      await query(PREPARE);
      const { rows } = await query<{ read_only: boolean }>(SPILL);
      await query('rollback');
      return rows[0]?.read_only ? 'the database is read-only' : 'ok';
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // A connection on which this failed is in a failed transaction, or broken.
      client.release(failure);
    }
  } catch (error) {
    return (error as { code?: string }).code === DISK_FULL
      ? 'the disk of the database is full'
      : 'the database does not answer';
  }
}
