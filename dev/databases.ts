import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** The role that worker and API have in the databases that are made here. In a test it shows what they need. */
export const APP_ROLE = 'shop';

/** A database of the caller's own. */
export interface Database {
  readonly url: string;
  drop(): Promise<void>;
}

/** Makes a database beside the one of the URL; with `template` that one is copied, which nobody may use meanwhile. */
export async function createDatabase(
  neighbourUrl: string,
  { template }: { template?: string } = {},
): Promise<Database> {
  const name = `temporary_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(neighbourUrl, `create database ${name}${template === undefined ? '' : ` template ${template}`}`);
  const url = new URL(neighbourUrl);
  url.pathname = `/${name}`;
  const drop = async (): Promise<void> => {
    await asAdmin(neighbourUrl, `drop database if exists ${name} with (force)`);
  };
  return { url: url.href, drop };
}

/** Whether there is a database of that name on the same server. */
export async function databaseExists(neighbourUrl: string, name: string): Promise<boolean> {
  return (await asAdmin(neighbourUrl, 'select from pg_database where datname = $1', [name])).rowCount === 1;
}

/**
 * Makes the role of the application where there is none, with the password of the URL's own user: this keeps mistakes out,
 * not somebody who knows that password.
 *
 * @returns the same database for that role.
 */
export async function withAppRole(ownerUrl: string): Promise<string> {
  const url = new URL(ownerUrl);
  const password = pg.escapeLiteral(decodeURIComponent(url.password));
  const name = pg.escapeIdentifier(APP_ROLE);
  // Two may make it at once, and databases outlive passwords.
  await asAdmin(
    ownerUrl,
    `do $$ begin create role ${name} login; exception when duplicate_object or unique_violation then null; end $$;
     alter role ${name} password ${password}`,
  );
  url.username = APP_ROLE;
  return url.href;
}

async function asAdmin(neighbourUrl: string, statement: string, values: string[] = []): Promise<pg.QueryResult> {
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
