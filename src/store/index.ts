import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { createApprovalStore } from './approvals.js';
import { createBatchStore } from './batches/index.js';
import { createCartStore } from './carts.js';
import { createErasureStore } from './erasure/erasure.js';
import { createProductStore } from './products.js';
import { createIdempotencyKeyStore } from './idempotency-keys.js';
import { createNotificationStore } from './notifications.js';
import { createOrderStore } from './orders/orders.js';
import { createOrderReconciliationStore } from './orders/reconciliation.js';
import { createReservationStore } from './orders/reservations.js';
import { createPaymentEventStore } from './payment-events.js';
import { createReportStore } from './reports.js';
import type { Tables } from './tables.js';
import { createShipmentReportStore } from './shipment-reports.js';
import { createWriteCheck } from './postgres/write-check.js';

/** Maximum time that a query waits for a free connection, and that a new connection takes to open. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * PostgreSQL cancels longer statements. Must be shorter than the start-to-close timeout (5 s) of the order activities.
 */
const STATEMENT_TIMEOUT_MS = 4_000;

/**
 * PostgreSQL ends a transaction that is idle for longer than this, because other transactions may wait for its locks.
 */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;

export interface StoreOptions {
  databaseUrl: string;
  /** Maximum number of connections of this process. */
  maxConnections: number;
  /** How long the response to a request with an idempotency key is kept. 24 hours by default. */
  idempotencyKeyRetentionHours?: number | undefined;
  /**
   * Called when an idle connection fails, for example because the database restarts. The pool opens new connections on
   * demand.
   */
  onIdleError: (error: Error) => void;
}

/** Opens the store. The first query opens the first connection. */
export function openStore({
  databaseUrl,
  maxConnections,
  idempotencyKeyRetentionHours = 24,
  onIdleError,
}: StoreOptions) {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    application_name: 'workflow-orchestration-patterns',
  });
  pool.on('error', onIdleError);
  // The pool handles errors of idle connections only. Without this listener, an error of a connection in use would end
  // the process. The query itself still fails.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return {
    db,
    ...createProductStore(db),
    ...createReservationStore(db),
    ...createOrderStore(db),
    ...createOrderReconciliationStore(db),
    ...createNotificationStore(db),
    ...createCartStore(db),
    ...createPaymentEventStore(db),
    ...createReportStore(db),
    ...createErasureStore(db),
    ...createBatchStore(db, pool),
    ...createIdempotencyKeyStore(db, { retentionHours: idempotencyKeyRetentionHours }),
    ...createApprovalStore(db),
    ...createShipmentReportStore(db),
    /** @throws when the database does not respond. */
    async ping(): Promise<void> {
      await pool.query('select 1');
    },
    /** Checks whether the database accepts writes. The check is cheap enough for every health probe. */
    checkWritable: createWriteCheck(pool),
    async close(): Promise<void> {
      await db.destroy();
      // Kysely ends the pool only if Kysely has used the pool.
      if (!pool.ended) await pool.end();
    },
  };
}

export type Store = ReturnType<typeof openStore>;
