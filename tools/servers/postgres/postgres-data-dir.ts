import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * The data folder of PostgreSQL and the user that runs PostgreSQL. `uid` and `gid` are undefined for the current user.
 */
export interface PostgresDataDir {
  readonly path: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** The user "nobody" exists on every system and owns no files, so no user has to be created. */
const nobodyUid = 65_534;
const redirectFileName = 'kept-elsewhere.json';

export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Chooses the folder that holds PostgreSQL's data. For an ordinary user, this folder is `dataDir`. PostgreSQL does not
 * run as root, so root runs PostgreSQL as "nobody". If "nobody" cannot enter `dataDir`, the data is in a folder under
 * /var/tmp, and a file in `dataDir` contains the path. To start with an empty database, delete `dataDir`.
 */
export async function preparePostgresDataDir(dataDir: string, { disposable = false } = {}): Promise<PostgresDataDir> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (!runsAsRoot()) return { path: dataDir, uid: undefined, gid: undefined };

  const noted = await hasRedirectFile(dataDir);
  if (!noted && (await isAccessibleToEveryone(dirname(dataDir)))) {
    await chown(dataDir, nobodyUid, nobodyUid);
    return { path: dataDir, uid: nobodyUid, gid: nobodyUid };
  }
  const shared = await ensureSharedDir();
  await removeAbandonedData(shared);
  const path = join(shared, `data-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`);
  if (!noted) {
    await rm(path, { recursive: true, force: true });
    await writeFile(join(dataDir, redirectFileName), JSON.stringify({ path }));
  }
  await mkdir(path, { recursive: true, mode: 0o700 });
  await writeFile(`${path}.json`, JSON.stringify({ dataDir, disposable }));
  await chown(path, nobodyUid, nobodyUid);
  return { path, uid: nobodyUid, gid: nobodyUid };
}

/**
 * Returns a folder that every user may enter and only the current user may write to.
 *
 * @throws when another user owns the folder or may write to the folder, because the content cannot be trusted.
 */
export async function ensureSharedDir(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const path = `/var/tmp/workflow-orchestration-patterns-${uid}`;
  await mkdir(path, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  const others = 0o022;
  if (!found.isDirectory() || found.uid !== uid || (found.mode & others) !== 0)
    throw new Error(
      `${path} belongs to another user, so PostgreSQL cannot store its data there. Remove the folder, or set DATABASE_URL.`,
    );
  return path;
}

async function hasRedirectFile(dataDir: string): Promise<boolean> {
  return stat(join(dataDir, redirectFileName)).then(
    () => true,
    () => false,
  );
}

async function isAccessibleToEveryone(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const mayEnter = ((await stat(at)).mode & 0o001) !== 0;
    if (!mayEnter) return false;
    if (at === dirname(at)) return true;
  }
}

/** Removes the data of killed tests: disposable data whose `dataDir` no longer exists. */
async function removeAbandonedData(shared: string): Promise<void> {
  for (const entry of (await readdir(shared)).filter((name) => /^data-\w+\.json$/.test(name))) {
    const file = join(shared, entry);
    const { dataDir, disposable } = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<
      string,
      unknown
    >;
    if (disposable !== true || typeof dataDir !== 'string' || (await hasRedirectFile(dataDir))) continue;
    await rm(file.replace(/\.json$/, ''), { recursive: true, force: true });
    await rm(file, { force: true });
  }
}
