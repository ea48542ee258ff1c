import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LockHeldError, acquireLock, withLock } from '../../../tools/processes/lock.mjs';
import { startProcess } from '../../support/processes.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(folder, 'a', 'the.lock');
});
afterEach(() => rm(folder, { recursive: true }));

describe('the lock file', () => {
  test('acquireLock fails while a live process holds the lock, and the error contains the holder', async () => {
    const release = await acquireLock(file);
    await expect(acquireLock(file)).rejects.toThrow(LockHeldError);
    await expect(acquireLock(file)).rejects.toMatchObject({ ownerPid: process.pid });
    release();
    (await acquireLock(file))();
    expect(await readdir(join(folder, 'a'))).toEqual([]);
  });

  test('acquireLock takes over a lock whose holder does not run any more', async () => {
    const gone = await startProcess({ name: 'gone', command: process.execPath, args: ['-e', ''] });
    await gone.exited;
    (await acquireLock(file))();
    await writeFile(file, JSON.stringify({ pid: gone.pid, started: 'long ago' }));
    (await acquireLock(file))();
  });

  test.runIf(process.platform === 'linux')(
    "acquireLock takes over a lock when the holder's process id belongs to another process",
    async () => {
      (await acquireLock(file))();
      await writeFile(file, JSON.stringify({ pid: process.pid, started: 'before the machine was started' }));
      (await acquireLock(file))();
    },
  );

  test('of many competing processes, at most one acquires a stale lock', async () => {
    let taken = 0;
    for (let round = 0; round < 30; round++) {
      (await acquireLock(file))();
      await writeFile(file, '{"pid":');
      let inside = 0;
      const contend = async (): Promise<void> => {
        const release = await acquireLock(file).catch((error: unknown) => {
          if (error instanceof LockHeldError) return undefined;
          throw error;
        });
        if (!release) return;
        taken++;
        expect(++inside).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        release();
      };
      await Promise.all(Array.from({ length: 8 }, contend));
    }
    expect(taken).toBeGreaterThanOrEqual(30);
    expect(await readdir(join(folder, 'a'))).toEqual([]);
  });

  test('withLock lets waiting callers take turns, and reports the holder', async () => {
    const waitedFor = new Set<number>();
    const done: number[] = [];
    const appendLater = (n: number) => () =>
      new Promise<void>((resolve) => setImmediate(() => resolve(void done.push(n))));
    await Promise.all([1, 2, 3].map((n) => withLock(file, appendLater(n), (pid) => waitedFor.add(pid))));
    expect(done.sort()).toEqual([1, 2, 3]);
    expect([...waitedFor]).toEqual([process.pid]);
  });
});
