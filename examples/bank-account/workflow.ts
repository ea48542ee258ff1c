import { allHandlersFinished, condition, continueAsNew, currentUpdateInfo, setHandler } from '@temporalio/workflow';
import { throwIfRejected } from '../../src/workflows/shared/failures.js';
import { Account } from './account.js';
import {
  accountQuery,
  CHANGE_UPDATES,
  closeSignal,
  type AccountInput,
  type AccountView,
  type Change,
  type ChangeRequest,
} from './contract.js';

/**
 * Runs one bank account until the signal `close` arrives. Completes with the last view of the account. Continues as new
 * after a number of changes, so that the history stays small.
 */
export async function bankAccount(input: AccountInput = {}): Promise<AccountView> {
  const account = new Account(input);
  registerHandlers(account);
  await condition(() => !account.isOpen || account.isRunFull);
  await condition(allHandlersFinished);
  if (account.isOpen) await continueAsNew<typeof bankAccount>(account.nextRunInput);
  return account.view();
}

function registerHandlers(account: Account): void {
  for (const kind of ['deposit', 'withdraw'] as const) {
    setHandler(CHANGE_UPDATES[kind], (request) => account.apply(toChange(kind, request)), {
      // A change that the validator rejects writes no event.
      validator: (request: ChangeRequest) => throwIfRejected(account.rejectionOf(toChange(kind, request))),
    });
  }
  setHandler(accountQuery, () => account.view());
  setHandler(closeSignal, () => account.close());
}

/** Any client can send an update, so the request can be any JSON value. */
function toChange(kind: Change['kind'], request: ChangeRequest | null): Change {
  return { id: currentUpdateInfo()!.id, kind, amount: request?.amount ?? NaN };
}
