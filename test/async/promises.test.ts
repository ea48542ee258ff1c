import { expect, test } from 'vitest';
import { runInOrder } from '../../src/async/promises.js';

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
