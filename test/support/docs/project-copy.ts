import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from '../processes.js';
import { applyBlocks, type Files, type PageBlock } from './page-changes.js';

/** Folders that a copy does not need, or that commands write. */
const NOT_COPIED = new Set(['.data', '.git', 'coverage', 'dist', 'node_modules']);

/** A copy of the files of this project, which a test can change. */
export interface ProjectCopy {
  folder: string;
  /** The files that blocks have changed or created. */
  changedFiles(): string[];
  /** Applies the change of a block. @throws when the change does not fit. */
  apply(block: PageBlock): Promise<void>;
  /** Applies the change of a block until `revert` is called. */
  tryOut(block: PageBlock): Promise<{ revert: () => Promise<void> }>;
  remove(): Promise<void>;
}

/** Copies the files of this project. The copy uses the packages of this project. */
export async function copyProject(): Promise<ProjectCopy> {
  const data = join(projectRoot, '.data');
  await mkdir(data, { recursive: true });
  const folder = await mkdtemp(join(data, 'copy-'));
  for (const name of await readdir(projectRoot)) {
    if (!NOT_COPIED.has(name))
      await cp(join(projectRoot, name), join(folder, name), { recursive: true, preserveTimestamps: true });
  }
  await linkPackages(folder);
  const changed = new Set<string>();

  async function read(file: string): Promise<Files> {
    const text = await readFile(join(folder, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    return new Map(text === undefined ? [] : [[file, text]]);
  }

  async function write(files: Files): Promise<void> {
    for (const [file, text] of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), text);
    }
  }

  return {
    folder,
    changedFiles: () => [...changed],
    async apply(block) {
      await write(applyBlocks(await read(block.file!), [block], ['Create', 'Change']));
      changed.add(block.file!);
    },
    async tryOut(block) {
      const before = await read(block.file!);
      await write(applyBlocks(before, [block], ['Try in']));
      return { revert: () => write(before) };
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

/** Links each package. The folder itself is not a link, so that the caches of tools in it belong to the copy. */
async function linkPackages(folder: string): Promise<void> {
  const [from, to] = [projectRoot, folder].map((root) => join(root, 'node_modules')) as [string, string];
  await mkdir(to);
  const names = (await readdir(from)).filter((name) => !['.cache', '.vite', '.vite-temp'].includes(name));
  await Promise.all(names.map((name) => symlink(join(from, name), join(to, name))));
}
