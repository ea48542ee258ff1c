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

  it('when many want it at once over a stale one, then never two have it', async () => {
    let taken = 0;
    for (let round = 0; round < 30; round++) {
      (await takeLock(file))();
      await writeFile(file, '{"pid":');
      let inside = 0;
      const contend = async (): Promise<void> => {
        const release = await takeLock(file).catch((error: unknown) => {
          if (error instanceof LockHeld) return undefined;
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

  it('when several want it one after the other, then each waits for its turn and is told for whom', async () => {
    const waitedFor = new Set<number>();
    const done: number[] = [];
    const work = (n: number) => () => new Promise<void>((resolve) => setImmediate(() => resolve(void done.push(n))));
    await Promise.all([1, 2, 3].map((n) => withLock(file, work(n), (pid) => waitedFor.add(pid))));
    expect(done.sort()).toEqual([1, 2, 3]);
    expect([...waitedFor]).toEqual([process.pid]);
  });
});
