import pg from 'pg';
import { waitUntil } from '../processes.js';

/** A transaction that holds a lock until it is released, and so blocks other transactions. */
export interface DatabaseLock {
  /**
   * Resolves when at least this many transactions (default 1) wait for this lock, directly or behind another waiting
   * transaction.
   */
  waitForBlocked: (who?: { by: number }) => Promise<void>;
  release: () => Promise<void>;
}

/** Blocks all changes to the stock of this product. */
export async function lockProduct(databaseUrl: string, sku: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'select from products where sku = $1 for update', [sku]);
}

/** Blocks changes of this batch's record. */
export async function lockBatch(databaseUrl: string, batchId: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'select from batches where batch_id = $1 for update', [batchId]);
}

/** Blocks all reads and changes of the catalogue. */
export async function lockCatalogue(databaseUrl: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'lock table products in access exclusive mode');
}

/** Blocks all reads and changes of carts. */
export async function lockCarts(databaseUrl: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'lock table carts in access exclusive mode');
}

/** Blocks changes of the columns of approvals. */
export async function lockApprovals(databaseUrl: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'lock table approvals in access share mode');
}

/** Blocks changes of chunks, so uploads cannot store a part. */
export async function lockChunks(databaseUrl: string): Promise<DatabaseLock> {
  return await takeLock(databaseUrl, 'lock table batch_chunks in share mode');
}

/** Ends the connections that wait for a lock, as a failing database server does. */
export async function terminateBlockedConnections(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  );
  await client.end();
}

async function takeLock(databaseUrl: string, statement: string, values: unknown[] = []): Promise<DatabaseLock> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(statement, values);
  return {
    async waitForBlocked({ by } = { by: 1 }) {
      const waiting = async () => {
        // Within a transaction, pg_stat_activity returns its first result again until the snapshot is cleared.
        await client.query('select pg_stat_clear_snapshot()');
        const { rowCount } = await client.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return (rowCount ?? 0) >= by || undefined;
      };
      await waitUntil(waiting, {
        description: 'a transaction waiting for the lock',
        timeoutMs: 10_000,
        intervalMs: 10,
      });
    },
    async release() {
      await client.end();
    },
  };
}
