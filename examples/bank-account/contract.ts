import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';

export const ACCOUNT_TASK_QUEUE = 'bank-accounts';

export const accountWorkflowId = (accountId: string): string => `bank-account:${accountId}`;

export const LIMITS = {
  /** Maximum amount of one change, in minor units. */
  amount: 100_000_000,
  /** Number of changes after which a run continues as new. Temporal accepts at most 2,000 updates per run. */
  changesPerRun: 500,
  /** Number of receipts that continue-as-new passes to the next run. */
  receipts: 200,
};

/** The argument of an update. */
export interface ChangeRequest {
  /** In minor units of the currency, for example cents. */
  amount: number;
}

export interface Change extends ChangeRequest {
  /** The update id. The same id means the same change. */
  id: string;
  kind: 'deposit' | 'withdraw';
}

/** The result of an update. */
export interface Receipt extends Change {
  /** The balance after the change. */
  balance: number;
}

export interface AccountView {
  status: 'open' | 'closed';
  balance: number;
}

/** The input of a run. Continue-as-new passes the state as plain JSON, because a `Map` or a `Date` would be lost. */
export interface AccountInput {
  balance?: number;
  /** The latest receipts, oldest first. */
  receipts?: Receipt[];
  changesPerRun?: number;
}

export const CHANGE_UPDATES = {
  deposit: defineUpdate<Receipt, [ChangeRequest]>('deposit'),
  withdraw: defineUpdate<Receipt, [ChangeRequest]>('withdraw'),
};
export const accountQuery = defineQuery<AccountView>('account');
export const closeSignal = defineSignal('close');
