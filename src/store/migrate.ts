import { Migrator, type Kysely } from 'kysely';
import { migrations } from './migrations/index.js';
import type { Schema } from './schema.js';

/**
 * Brings the database to the newest schema. Safe to run from several processes at once: the first holds a lock.
 *
 * @returns the names of the migrations that were applied.
 * @throws the first migration's error; those before it stay applied.
 */
export async function migrate(db: Kysely<Schema>): Promise<string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error) throw error as Error;
  return results.map(({ migrationName }) => migrationName);
}
