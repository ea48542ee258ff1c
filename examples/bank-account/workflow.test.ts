import { randomUUID } from 'node:crypto';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { expect, test } from 'vitest';
import { describeOnDevServer, startDevServer } from '../../test/support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../test/support/temporal/event-summaries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../test/support/temporal/time-skipping-server.js';
import { useWorker } from '../../test/support/temporal/use-worker.js';
import '../../test/support/setup/quiet-runtime.js';
import type { TemporalServer } from '../../test/support/shop/shop.js';
import {
  ACCOUNT_TASK_QUEUE,
  accountQuery,
  accountWorkflowId,
  CHANGE_UPDATES,
  closeSignal,
  type AccountInput,
  type Change,
  type Receipt,
} from './contract.js';
import { createAccountWorker } from './worker.js';
import type { bankAccount } from './workflow.js';

describeWithTimeSkipping('an account', () => {
  const { openAccount } = useAccounts(startTimeSkippingServer);

  test('accepts deposits and withdrawals', async () => {
    const account = await openAccount();
    await change(account, 'deposit', 700);

    expect(await change(account, 'withdraw', 200)).toMatchObject({ amount: 200, balance: 500 });
    expect(await account.query(accountQuery)).toEqual({ status: 'open', balance: 500 });
  });

  test('accepts concurrent withdrawals only up to the balance', async () => {
    const account = await openAccount();
    await change(account, 'deposit', 300);
    const attempts = Array.from({ length: 5 }, () => change(account, 'withdraw', 100));

    expect((await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(await account.query(accountQuery)).toMatchObject({ balance: 0 });
  });

  test.each([undefined, null, {}, { amount: '700' }])('rejects the update argument %j', async (argument) => {
    const account = await openAccount();

    await expect(account.executeUpdate('deposit', { args: [argument] })).rejects.toMatchObject({
      cause: { type: 'InvalidInput' },
    });
  });

  test('applies an update with the same id once', async () => {
    const account = await openAccount();
    const receipt = await change(account, 'deposit', 700, 'same');

    expect(await change(account, 'deposit', 700, 'same')).toEqual(receipt);
    expect(await account.query(accountQuery)).toMatchObject({ balance: 700 });
  });

  test('completes with the balance when it is closed', async () => {
    const account = await openAccount();
    await change(account, 'deposit', 700);
    await account.signal(closeSignal);

    expect(await account.result()).toEqual({ status: 'closed', balance: 700 });
  });
});

describeOnDevServer('the history of an account', () => {
  // Without this setting, the server delays an immediate continue-as-new by one second.
  const { openAccount, firstRunOf } = useAccounts(() =>
    startDevServer({ dynamicConfig: ['history.workflowIdReuseMinimalInterval="0s"'] }),
  );

  // The time-skipping server keeps the events of the workflow task that rejects an update. The dev server removes them.
  test('rejects an overdraft without an event in the history', async () => {
    const account = await openAccount();
    await change(account, 'deposit', 700);
    const before = await fetchEventSummaries(account);

    await expect(change(account, 'withdraw', 701)).rejects.toMatchObject({ cause: { type: 'InsufficientFunds' } });
    expect(await fetchEventSummaries(account)).toEqual(before);
  });

  test('keeps its balance and its receipts across continue-as-new', async () => {
    const account = await openAccount({ changesPerRun: 2 });
    const receipt = await change(account, 'deposit', 100, 'first');
    for (const amount of [200, 300, 400]) await change(account, 'deposit', amount);

    expect((await fetchEventSummaries(firstRunOf(account))).at(-1)?.type).toBe('WorkflowExecutionContinuedAsNew');
    expect(await change(account, 'deposit', 100, 'first')).toEqual(receipt);
    expect(await account.query(accountQuery)).toEqual({ status: 'open', balance: 1_000 });
  });
});

function useAccounts(startServer: () => Promise<TemporalServer>) {
  const tests = useWorker(startServer, ({ nativeConnection, namespace }) =>
    createAccountWorker(nativeConnection, namespace),
  );
  return {
    async openAccount(input: AccountInput = {}) {
      return await tests.server.client.workflow.start<typeof bankAccount>('bankAccount', {
        workflowId: accountWorkflowId(randomUUID()),
        taskQueue: ACCOUNT_TASK_QUEUE,
        args: [input],
      });
    },
    /** Returns a handle of the first run only. Other handles follow continue-as-new. */
    firstRunOf: ({ workflowId, firstExecutionRunId }: WorkflowHandleWithFirstExecutionRunId) =>
      tests.server.client.workflow.getHandle(workflowId, firstExecutionRunId),
  };
}

async function change(
  account: WorkflowHandle<typeof bankAccount>,
  kind: Change['kind'],
  amount: number,
  updateId: string = randomUUID(),
): Promise<Receipt> {
  return await account.executeUpdate(CHANGE_UPDATES[kind], { updateId, args: [{ amount }] });
}
