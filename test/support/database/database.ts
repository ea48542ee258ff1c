import { inject } from 'vitest';
import {
  APP_ROLE,
  createTemporaryDatabase,
  type TemporaryDatabase,
} from '../../../tools/servers/postgres/temporary-database.js';

export { APP_ROLE, createTemporaryDatabase, type TemporaryDatabase };

interface TestDatabase extends TemporaryDatabase {
  /**
   * The URL with which worker and API connect to the same database. Their role has only the privileges that they need.
   */
  appUrl: string;
}

/** Creates a database as a copy of the migrated template. */
export async function createDatabase(): Promise<TestDatabase> {
  const template = inject('databaseUrl');
  const database = await createTemporaryDatabase(template, { template: new URL(template).pathname.slice(1) });
  const appUrl = new URL(database.url);
  appUrl.username = APP_ROLE;
  return { ...database, appUrl: appUrl.href };
}
