import { sql, type Kysely, type Transaction } from 'kysely';
import type { Tables } from '../tables.js';

/**
 * Timeout of statements that process all chunks of a batch, or all orders of a day. They take about one second per few
 * hundred thousand items.
 */
const LONG_STATEMENT_TIMEOUT_MS = 10 * 60_000;

/** Runs a transaction whose statements may take up to ten minutes each. */
export async function runLongTransaction<T>(
  db: Kysely<Tables>,
  run: (tx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  return await db.transaction().execute(async (tx) => {
    await setLocal(tx, { statement_timeout: LONG_STATEMENT_TIMEOUT_MS });
    return await run(tx);
  });
}

/** Changes settings until the end of the transaction. */
export async function setLocal(tx: Transaction<Tables>, settings: Record<string, string | number>): Promise<void> {
  const calls = Object.entries(settings).map(([name, value]) => sql`set_config(${name}, ${String(value)}, true)`);
  await sql`select ${sql.join(calls)}`.execute(tx);
}
