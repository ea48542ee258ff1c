import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LockHeld, takeLock, withLock } from '../../dev/lock.mjs';
import { startProcess } from '../../dev/processes.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(folder, 'a', 'the.lock');
});
afterEach(() => rm(folder, { recursive: true }));

describe('a lock', () => {
  it('when somebody alive holds it, then it is refused and names the holder', async () => {
    const release = await takeLock(file);
    await expect(takeLock(file)).rejects.toThrow(LockHeld);
    await expect(takeLock(file)).rejects.toMatchObject({ pid: process.pid });
    release();
    (await takeLock(file))();
    expect(await readdir(join(folder, 'a'))).toEqual([]);
  });

  it('when its holder is gone, then it is taken over', async () => {
    const gone = await startProcess({ name: 'gone', command: process.execPath, args: ['-e', ''] });
    await gone.exited;
    (await takeLock(file))();
    await writeFile(file, JSON.stringify({ pid: gone.pid, started: 'long ago' }));
    (await takeLock(file))();
  });

  it.runIf(process.platform === 'linux')(
    "when the holder's process id belongs to another process by now, then it is taken over",
    async () => {
      (await takeLock(file))();
      await writeFile(file, JSON.stringify({ pid: process.pid, started: 'before the machine was started' }));
      (await takeLock(file))();
    },
  );

  it('when ten want it at once over a stale one, then they have it one after the other', async () => {
    (await takeLock(file))();
    await writeFile(file, '{"pid":');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    await Promise.all(Array.from({ length: 10 }, () => withLock(file, work)));
    expect(most).toBe(1);
  });
});
