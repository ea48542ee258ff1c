import { expect, test } from 'vitest';
import { runInOrder, untilAborted } from '../../src/async/promises.js';

test('runInOrder runs every action in order after one has failed, and throws the first failure', async () => {
  const ran: number[] = [];
  const action = (n: number, error?: Error) => async () => {
    await new Promise(setImmediate);
    ran.push(n);
    if (error) throw error;
  };

  const run = runInOrder([action(1), action(2, new Error('first')), action(3, new Error('second')), action(4)]);

  await expect(run).rejects.toThrow('first');
  expect(ran).toEqual([1, 2, 3, 4]);
});

test('untilAborted returns the result, and rejects with the reason of the signal while the promise is pending', async () => {
  const pending = new Promise<never>(() => undefined);
  const controller = new AbortController();
  expect(await untilAborted(Promise.resolve('answer'), controller.signal)).toBe('answer');

  const waiting = untilAborted(pending, controller.signal);
  controller.abort(new Error('cancelled'));

  await expect(waiting).rejects.toThrow('cancelled');
  await expect(untilAborted(pending, controller.signal)).rejects.toThrow('cancelled');
  await expect(untilAborted(Promise.reject(new Error('refused')), new AbortController().signal)).rejects.toThrow(
    'refused',
  );
});
