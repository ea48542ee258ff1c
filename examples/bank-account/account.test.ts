import { expect, test } from 'vitest';
import { Account } from './account.js';
import { LIMITS, type Change } from './contract.js';

const deposit = (amount: number): Change => ({ id: `deposit ${amount}`, kind: 'deposit', amount });
const withdraw = (amount: number): Change => ({ id: `withdraw ${amount}`, kind: 'withdraw', amount });

test('adds deposits to the balance and subtracts withdrawals', () => {
  const account = new Account();
  account.apply(deposit(700));

  expect(account.apply(withdraw(200))).toEqual({ ...withdraw(200), balance: 500 });
  expect(account.view()).toEqual({ status: 'open', balance: 500 });
});

test('rejects a withdrawal that exceeds the balance', () => {
  const account = new Account();
  account.apply(deposit(700));

  expect(account.rejectionOf(withdraw(701))).toEqual({ type: 'InsufficientFunds', message: 'the balance is 700' });
  expect(account.rejectionOf(withdraw(700))).toBeUndefined();
});

test.each([0, -1, 0.5, NaN, LIMITS.amount + 1, '700' as unknown as number])('rejects the amount %s', (amount) => {
  expect(new Account().rejectionOf(deposit(amount))?.type).toBe('InvalidInput');
});

test('rejects changes of a closed account', () => {
  const account = new Account();
  account.close();

  expect(account.rejectionOf(deposit(1))?.type).toBe('AccountClosed');
});

test('applies a repeated change once, also in the next run', () => {
  const account = new Account();
  const receipt = account.apply(deposit(700));
  account.apply(withdraw(700));
  const nextRun = new Account(account.nextRunInput);

  expect(nextRun.rejectionOf(withdraw(700))).toBeUndefined();
  expect(nextRun.apply(deposit(700))).toEqual(receipt);
  expect(nextRun.view().balance).toBe(0);
});

test('keeps a limited number of receipts', () => {
  const account = new Account();
  for (let amount = 1; amount <= LIMITS.receipts + 1; amount += 1) account.apply(deposit(amount));

  const amounts = account.nextRunInput.receipts!.map(({ amount }) => amount);
  expect(amounts).toHaveLength(LIMITS.receipts);
  expect(amounts[0]).toBe(2);
});

test('a run is full after its number of changes', () => {
  const account = new Account({ changesPerRun: 2 });
  account.apply(deposit(1));
  expect(account.isRunFull).toBe(false);

  account.apply(deposit(2));
  expect(account.isRunFull).toBe(true);
  expect(new Account(account.nextRunInput).isRunFull).toBe(false);
});
