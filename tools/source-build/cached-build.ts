import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from '../settings/environment.js';

/** What is built from the sources. Unchanged sources use the build of an earlier run. */
const CACHE_FOLDER = join(projectRoot, '.data', 'builds');
/** A build that was not used for this time is removed. */
const MAX_UNUSED_MS = 6 * 60 * 60_000;
const MARK_INTERVAL_MS = 60 * 60_000;

/** The builds that this process makes or looks up at the moment, by their folders. */
const inProgress = new Map<string, Promise<void>>();
/** The folders that this process uses. */
const inUse = new Set<string>();

/**
 * Returns the folder `key` of the cache, which `build` filled. Runs `build` only if no earlier run has done so. While
 * this process runs, other processes do not remove the folder.
 */
export async function cachedBuild(
  key: string,
  build: (folder: string) => Promise<void>,
  cacheFolder = CACHE_FOLDER,
): Promise<string> {
  const folder = join(cacheFolder, key);
  const building = inProgress.get(folder) ?? makeBuild(folder, build).finally(() => inProgress.delete(folder));
  inProgress.set(folder, building);
  await building;
  if (!inUse.has(folder)) setInterval(() => void markUsed(folder), MARK_INTERVAL_MS).unref();
  inUse.add(folder);
  return folder;
}

async function makeBuild(folder: string, build: (folder: string) => Promise<void>): Promise<void> {
  if (await isFolder(folder)) return await markUsed(folder);
  const unfinished = `${folder}-${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await build(unfinished);
    // Another run may have finished the same build meanwhile. Then its folder is used.
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!isFolderTaken(error)) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  await removeUnusedBuilds(dirname(folder));
}

/** Ignores errors, because a user may delete the folder at any time. The next call then builds again. */
const markUsed = (folder: string): Promise<void> => utimes(folder, new Date(), new Date()).catch(() => undefined);

const isFolderTaken = (error: unknown): boolean =>
  ['EEXIST', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Returns a key for the current content of `src/` and of the installed packages. */
export async function hashSources(): Promise<string> {
  const hash = createHash('sha256');
  const sources = await readdir(join(projectRoot, 'src'), { recursive: true, withFileTypes: true });
  const paths = sources.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
  const hashed = [...paths.sort(), ...settings.map((name) => join(projectRoot, name))];
  const contents = await Promise.all(hashed.map((path) => readFile(path)));
  for (const [index, path] of hashed.entries()) hash.update(`${path}\0`).update(contents[index]!);
  return hash.digest('hex').slice(0, 16);
}

async function removeUnusedBuilds(cacheFolder: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    const folder = join(cacheFolder, name);
    const usedAt = (await stat(folder).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - usedAt > MAX_UNUSED_MS) await rm(folder, { recursive: true, force: true });
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
