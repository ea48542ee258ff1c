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
  return { url: url.href, drop: () => asAdmin(neighbourUrl, `drop database if exists ${name} with (force)`) };
}

async function asAdmin(neighbourUrl: string, statement: string): Promise<void> {
  const url = new URL(neighbourUrl);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
