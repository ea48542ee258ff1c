import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { createApprovals } from './approvals.js';
import { createBatches } from './batches.js';
import { createCarts } from './carts.js';
import { createCatalogue } from './catalogue.js';
import { createIdempotencyKeys } from './idempotency-keys.js';
import { createNotifications } from './notifications.js';
import { createOrders } from './orders.js';
import type { Schema } from './schema.js';
import { createShipmentReports } from './shipment-reports.js';
import { createWriteCheck } from './write-check.js';

/** How long a query waits for a free connection, and a new connection for its server. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A statement that runs longer is cut: below the five seconds of the activities that wait for it. */
const STATEMENT_TIMEOUT_MS = 4_000;

/** A transaction whose process stands still in the middle of it is ended: others wait for its locks. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;

export interface StoreOptions {
  databaseUrl: string;
  /** Most connections of this process. */
  maxConnections: number;
  /** Told of errors of idle connections (a restart of the server); they are replaced when next needed. */
  onIdleError: (error: Error) => void;
}

/** Opens the store. No connection is made before the first query. */
export function openStore({ databaseUrl, maxConnections, onIdleError }: StoreOptions) {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    application_name: 'workflow-orchestration-patterns',
  });
  pool.on('error', onIdleError);
  // The pool listens to idle connections only; one that breaks during a query would end the process. The query fails.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  return {
    db,
    ...createCatalogue(db),
    ...createOrders(db),
    ...createNotifications(db),
    ...createCarts(db),
    ...createBatches(db, pool),
    ...createIdempotencyKeys(db),
    ...createApprovals(db),
    ...createShipmentReports(db),
    /** @throws when the database does not answer. */
    async ping(): Promise<void> {
      await pool.query('select 1');
    },
    /** Whether the database can be written to; cheap enough to be asked by every probe. */
    writability: createWriteCheck(pool),
    async close(): Promise<void> {
      await db.destroy();
      // Kysely ends a pool only if it ever used it.
      if (!pool.ended) await pool.end();
    },
  };
}

export type Store = ReturnType<typeof openStore>;
