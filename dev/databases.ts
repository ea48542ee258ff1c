import { randomUUID } from 'node:crypto';
import pg from 'pg';

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
