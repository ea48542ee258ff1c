import { Migrator, type Kysely, type Migration } from 'kysely';
import type { Tables } from '../tables.js';
import * as catalogueAndOrders from './0001-catalogue-and-orders.js';
import * as notifications from './0002-notifications.js';
import * as batches from './0003-batches.js';
import * as idempotencyKeys from './0004-idempotency-keys.js';
import * as shipmentReports from './0006-shipment-reports.js';
import * as approvals from './0007-approvals.js';
import * as cartsAndBatchProgress from './0008-carts-and-batch-progress.js';
import * as orderIdPrefix from './0009-order-id-prefix.js';
import * as stockCounts from './0010-stock-counts.js';
import * as reconciliation from './0012-reconciliation.js';
import * as retention from './0013-retention.js';
import * as orderIdStatistics from './0014-order-id-statistics.js';
import * as chunkSteps from './0015-chunk-steps.js';
import * as batchUploads from './0016-batch-uploads.js';
import * as operatorCounts from './0017-operator-counts.js';
import * as audit from './0019-audit.js';
import * as dailyReports from './0020-daily-reports.js';
import * as erasure from './0021-erasure.js';
import * as productsFillfactor from './0022-products-fillfactor.js';
import * as erasureIndex from './0023-erasure-index.js';
import * as operatorCountIndexes from './0024-operator-count-indexes.js';
import * as messageReferences from './0025-message-references.js';
import * as paymentEvents from './0026-payment-events.js';

/** All migrations by name, in the order in which they are applied. Do not change a released migration. */
export const migrations: Record<string, Migration> = {
  '0001-catalogue-and-orders': catalogueAndOrders,
  '0002-notifications': notifications,
  '0003-batches': batches,
  '0004-idempotency-keys': idempotencyKeys,
  '0006-shipment-reports': shipmentReports,
  '0007-approvals': approvals,
  '0008-carts-and-batch-progress': cartsAndBatchProgress,
  '0009-order-id-prefix': orderIdPrefix,
  '0010-stock-counts': stockCounts,
  '0012-reconciliation': reconciliation,
  '0013-retention': retention,
  '0014-order-id-statistics': orderIdStatistics,
  '0015-chunk-steps': chunkSteps,
  '0016-batch-uploads': batchUploads,
  '0017-operator-counts': operatorCounts,
  '0019-audit': audit,
  '0020-daily-reports': dailyReports,
  '0021-erasure': erasure,
  '0022-products-fillfactor': productsFillfactor,
  '0023-erasure-index': erasureIndex,
  '0024-operator-count-indexes': operatorCountIndexes,
  '0025-message-references': messageReferences,
  '0026-payment-events': paymentEvents,
};

/**
 * Applies all pending migrations. Each migration is a transaction, so it holds its locks only for its own time. Several
 * processes can call this at the same time, because each migration takes a lock.
 *
 * @returns the names of the migrations that this call applied.
 * @throws the error of the first migration that fails. Earlier migrations stay applied, and the next call continues.
 */
export async function migrate(db: Kysely<Tables>, all = migrations): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => all } });
  const applied: string[] = [];
  for (;;) {
    const { error, results = [] } = await migrator.migrateUp();
    if (error) throw error as Error;
    if (results.length === 0) return applied;
    applied.push(...results.map(({ migrationName }) => migrationName));
  }
}
