import { inject } from 'vitest';
import { createDatabase as createDatabaseBeside, type Database } from '../../dev/databases.js';

/** A database of the caller's own: the migrated template, copied. */
export async function createDatabase(): Promise<Database> {
  const template = inject('databaseUrl');
  return await createDatabaseBeside(template, { template: new URL(template).pathname.slice(1) });
}
