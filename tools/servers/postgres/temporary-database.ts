import { randomUUID } from 'node:crypto';
import pg from 'pg';

/**
 * The role of worker and API in the databases that are created here. Tests with this role show which privileges they
 * need.
 */
export const APP_ROLE = 'shop';

/** A temporary database, which the caller must drop. */
export interface TemporaryDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/**
 * Creates a database on the server of the URL. With `template` it is a copy of that database, to which nobody may be
 * connected during the copy.
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

/** Whether the same server has a database of that name. */
export async function databaseExists(neighbourUrl: string, name: string): Promise<boolean> {
  return (await queryAsAdmin(neighbourUrl, 'select from pg_database where datname = $1', [name])).rowCount === 1;
}

/**
 * Creates the application's role if it does not exist, with the password of the URL's own user. This protects against
 * mistakes, not against a person who knows that password.
 *
 * @returns the URL of the same database for that role.
 */
export async function createAppRole(ownerUrl: string): Promise<string> {
  const url = new URL(ownerUrl);
  const password = pg.escapeLiteral(decodeURIComponent(url.password));
  const name = pg.escapeIdentifier(APP_ROLE);
  // Two processes may create the role at once, and a database may outlive the password.
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
