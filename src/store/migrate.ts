import { Migrator, type Kysely } from 'kysely';
import { migrations } from './migrations/index.js';
import type { Tables } from './tables.js';

/**
 * Applies all pending migrations. A lock makes it safe to run from several processes at once.
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
