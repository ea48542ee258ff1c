import { inject } from 'vitest';
import { APP_ROLE, createDatabase as createDatabaseBeside, type Database } from '../../dev/databases.js';

interface TestDatabase extends Database {
  /** The same database as worker and API see it, with no more rights than they need. */
  appUrl: string;
}

/** A database of the caller's own: the migrated template, copied. */
export async function createDatabase(): Promise<TestDatabase> {
  const template = inject('databaseUrl');
  const database = await createDatabaseBeside(template, { template: new URL(template).pathname.slice(1) });
  const appUrl = new URL(database.url);
  appUrl.username = APP_ROLE;
  return { ...database, appUrl: appUrl.href };
}
