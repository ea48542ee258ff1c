import { randomUUID } from 'node:crypto';
import pg from 'pg';

/**
 * The database role of worker and API in temporary databases. Tests use this role, so that a missing privilege fails a
 * test.
 */
export const APP_ROLE = 'shop';

/** A temporary database, which the caller must drop. */
export interface TemporaryDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/**
 * Creates a database on the server of `neighbourUrl`. With `template`, the new database is a copy of the template
 * database. No client may be connected to the template during the copy.
 */
export async function createTemporaryDatabase(
  neighbourUrl: string,
  { template }: { template?: string } = {},
): Promise<TemporaryDatabase> {
  const name = `temporary_${randomUUID().replaceAll('-', '')}`;
  await queryAsAdmin(neighbourUrl, `create database ${name}${template === undefined ? '' : ` template ${template}`}`);
  const url = new URL(neighbourUrl);
  url.pathname = `/${name}`;
  const drop = async (): Promise<void> => {
    await queryAsAdmin(neighbourUrl, `drop database if exists ${name} with (force)`);
  };
  return { url: url.href, drop };
}

/** Returns whether the server of `neighbourUrl` has a database with this name. */
export async function databaseExists(neighbourUrl: string, name: string): Promise<boolean> {
  return (await queryAsAdmin(neighbourUrl, 'select from pg_database where datname = $1', [name])).rowCount === 1;
}

/**
 * Creates the application's role if the role does not exist, and sets the owner's password for the role. The role
 * protects against mistakes, but not against a person who knows the password.
 *
 * @returns the URL of the same database with the application's role as user.
 */
export async function createAppRole(ownerUrl: string): Promise<string> {
  const url = new URL(ownerUrl);
  const password = pg.escapeLiteral(decodeURIComponent(url.password));
  const name = pg.escapeIdentifier(APP_ROLE);
  // Ignores an existing role, because two processes may create the role at the same time. Sets the password every time,
  // because an existing role may have an old password.
  await queryAsAdmin(
    ownerUrl,
    `do $$ begin create role ${name} login; exception when duplicate_object or unique_violation then null; end $$;
     alter role ${name} password ${password}`,
  );
  url.username = APP_ROLE;
  return url.href;
}

async function queryAsAdmin(neighbourUrl: string, statement: string, values: string[] = []): Promise<pg.QueryResult> {
  const url = new URL(neighbourUrl);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await client.query(statement, values);
  } finally {
    await client.end();
  }
}
