import { watch } from 'node:fs';
import { join } from 'node:path';

/** An editor writes a file in several steps, and a branch change writes many files. */
const quietMs = 150;

/**
 * Calls `onChange` with the changed files after each change below a folder, and not again until the promise of the
 * previous call has settled. The paths start with `folder`.
 *
 * @returns a function that stops watching.
 */
export function watchSources(
  root: string,
  folder: string,
  onChange: (files: ReadonlySet<string>) => Promise<void>,
): () => void {
  let changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const flush = (): void => {
    running = running.then(async () => {
      const files = changed;
      changed = new Set();
      if (files.size > 0) await onChange(files);
    });
  };
  const watcher = watch(join(root, folder), { recursive: true }, (_event, file) => {
    if (file === null) return;
    changed.add(join(folder, file));
    clearTimeout(timer);
    timer = setTimeout(flush, quietMs);
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
