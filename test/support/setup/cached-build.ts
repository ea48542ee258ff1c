import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../processes.js';

/** What is built from the sources. A run with unchanged sources uses the build of an earlier run. */
const CACHE_FOLDER = join(projectRoot, '.data', 'test-builds');
const MAX_BUILDS = 3;

/**
 * Returns a folder that `build` filled for the current content of `src/` and of the installed packages. Runs `build` only
 * if no earlier run has done so.
 */
export async function cachedBuild(build: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(CACHE_FOLDER, await hashSources());
  if (await isFolder(folder)) {
    await utimes(folder, new Date(), new Date());
    return folder;
  }
  const unfinished = `${folder}-${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  await build(unfinished);
  // Another run may have finished the same build meanwhile. Then its folder is used.
  await rename(unfinished, folder).catch(() => rm(unfinished, { recursive: true }));
  await removeOldBuilds();
  return folder;
}

async function hashSources(): Promise<string> {
  const hash = createHash('sha256');
  const sources = await readdir(join(projectRoot, 'src'), { recursive: true, withFileTypes: true });
  const paths = sources.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const path of [...paths.sort(), ...settings.map((name) => join(projectRoot, name))])
    hash.update(`${path}\0`).update(await readFile(path));
  return hash.digest('hex').slice(0, 16);
}

/** Keeps the builds that were used last. A build that a concurrent run uses is among them. */
async function removeOldBuilds(): Promise<void> {
  const names = await readdir(CACHE_FOLDER);
  const builds = await Promise.all(
    names.map(async (name) => ({ name, usedAt: (await stat(join(CACHE_FOLDER, name))).mtimeMs })),
  );
  for (const { name } of builds.sort((a, b) => b.usedAt - a.usedAt).slice(MAX_BUILDS))
    await rm(join(CACHE_FOLDER, name), { recursive: true, force: true });
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
