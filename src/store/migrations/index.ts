import { Migrator, type Kysely, type Migration } from 'kysely';
import type { Tables } from '../tables.js';
import * as catalogueAndOrders from './0001-catalogue-and-orders.js';
import * as notifications from './0002-notifications.js';
import * as batches from './0003-batches.js';
import * as idempotencyKeys from './0004-idempotency-keys.js';
import * as shipmentReports from './0006-shipment-reports.js';
import * as approvals from './0007-approvals.js';
import * as cartsAndBatchProgress from './0008-carts-and-batch-progress.js';

/** All migrations by name, in the order in which they are applied. Do not change a released migration. */
const migrations: Record<string, Migration> = {
  '0001-catalogue-and-orders': catalogueAndOrders,
  '0002-notifications': notifications,
  '0003-batches': batches,
  '0004-idempotency-keys': idempotencyKeys,
  '0006-shipment-reports': shipmentReports,
  '0007-approvals': approvals,
  '0008-carts-and-batch-progress': cartsAndBatchProgress,
};

/**
 * Applies all pending migrations. Several processes can call this at the same time, because the migrations take a lock.
 *
 * @returns the names of the applied migrations.
 * @throws the error of the first migration that fails. Earlier migrations stay applied.
 */
export async function migrate(db: Kysely<Tables>): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error) throw error as Error;
  return results.map(({ migrationName }) => migrationName);
}
