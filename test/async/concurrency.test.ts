import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runConcurrently } from '../../src/async/concurrency.js';

/** Creates pieces of work that end when the test calls `finish`. */
function createManualWork() {
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const begun: number[] = [];
  const run = (n: number) =>
    new Promise<void>((resolve, reject) => {
      begun.push(n);
      open.set(n, { resolve, reject });
    });
  /** Ends one piece of work and waits until `runConcurrently` has reacted. */
  async function finish(n: number, error?: Error): Promise<void> {
    const { resolve, reject } = open.get(n)!;
    open.delete(n);
    if (error) reject(error);
    else resolve();
    await new Promise(setImmediate);
  }
  return { open, begun, run, finish };
}

test('runConcurrently runs each piece of work once, and always runs as many at the same time as the limit allows', async () => {
  const property = fc.asyncProperty(
    fc.nat(12),
    fc.integer({ min: 1, max: 5 }),
    fc.gen(),
    async (count, width, pick) => {
      const { open, begun, run, finish } = createManualWork();
      const done = runConcurrently(count, width, run);
      for (let left = count; left > 0; left -= 1) {
        expect(open.size).toBe(Math.min(width, left));
        await finish([...open.keys()][pick(fc.nat, { max: open.size - 1 })]!);
      }
      await done;

      expect(begun).toEqual(Array.from({ length: count }, (_, n) => n));
    },
  );
  await fc.assert(property);
});

test('after a failure, runConcurrently starts no further work, waits for running work and throws the first failure', async () => {
  const { begun, run, finish } = createManualWork();
  let isOver = false;
  const done = runConcurrently(9, 3, run).finally(() => (isOver = true));
  const failure = done.catch((error: unknown) => error);

  await finish(1, new Error('first'));
  expect(isOver).toBe(false);
  await finish(0);
  await finish(2, new Error('second'));

  expect(await failure).toEqual(new Error('first'));
  expect(begun).toEqual([0, 1, 2]);
});
