import { execFileSync } from 'node:child_process';
import { appendFile, chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, inject } from 'vitest';
import { createDatabase } from './database.js';

/** A database in a tablespace on a separate small disk. A test can fill the disk. */
export interface SmallDisk {
  /** The URL with which worker and API connect to the database. */
  appUrl: string;
  fill: () => Promise<void>;
  freeSpace: () => Promise<void>;
  remove: () => Promise<void>;
}

const SIZE_MB = 64;
const BLOCK = Buffer.alloc(4_096);

/**
 * Like `describe`. If no disk can be mounted, the tests are skipped. The title then gives the reason and explains how
 * to run the tests.
 */
export function describeOnSmallDisk(title: string, define: () => void): void {
  const problem = whyNotMountable();
  if (problem === undefined) describe(title, define);
  else describe.skip(`${title} (skipped, ${problem})`, define);
}

function whyNotMountable(): string | undefined {
  if (inject('clusterAddress') !== undefined)
    return 'the database of the cluster may be on another machine; npm test starts its own database';
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'));
  try {
    mount(folder);
    unmount(folder);
    return undefined;
  } catch {
    return 'a tmpfs cannot be mounted here; run the tests as root with the capability SYS_ADMIN';
  } finally {
    rmdirSync(folder);
  }
}

function mount(folder: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m,mode=711`, 'tmpfs', folder], { stdio: 'ignore' });
}

function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder], { stdio: 'ignore' });
}

export async function mountSmallDisk(): Promise<SmallDisk> {
  const database = await createDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'small-disk-'));
  await chmod(folder, 0o711);
  mount(folder);
  const name = new URL(database.url).pathname.slice(1);
  const tablespace = `${name}_disk`;
  // Connects to `postgres` and not to the template, because PostgreSQL cannot copy a database that has connections.
  const adminUrl = new URL(inject('databaseUrl'));
  adminUrl.pathname = '/postgres';
  const admin = new pg.Client({ connectionString: adminUrl.href });
  await admin.connect();
  const { rows } = await admin.query<{ data_directory: string }>('show data_directory');
  const { uid, gid } = await stat(rows[0]!.data_directory);
  const location = join(folder, 'tablespace');
  await mkdir(location, { mode: 0o700 });
  await chown(location, uid, gid);
  await admin.query(`create tablespace ${tablespace} location '${location}'`);
  await admin.query(`alter database ${name} set tablespace ${tablespace}`);
  const filler = join(folder, 'filler');

  return {
    appUrl: database.appUrl,
    async fill() {
      for (;;) {
        try {
          await appendFile(filler, BLOCK);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return;
          throw error;
        }
      }
    },
    freeSpace: () => rm(filler, { force: true }),
    async remove() {
      await database.drop();
      await admin.query(`drop tablespace ${tablespace}`);
      await admin.end();
      unmount(folder);
      await rm(folder, { recursive: true });
    },
  };
}
