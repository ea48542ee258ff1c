import { WithStartWorkflowOperation, type Client, type WorkflowHandle } from '@temporalio/client';
import { isNotFound } from '../../src/temporal/grpc-errors.js';
import {
  ACCOUNT_TASK_QUEUE,
  accountQuery,
  accountWorkflowId,
  CHANGE_UPDATES,
  closeSignal,
  type AccountView,
  type Change,
  type ChangeRequest,
  type Receipt,
} from './contract.js';
import type { bankAccount } from './workflow.js';

/** Sends requests to the workflows of accounts. */
export class AccountService {
  private readonly client: Client;
  private readonly timeoutMs: number;

  /** @param timeoutMs the time limit of a call, because Temporal waits for a worker. */
  constructor(client: Client, timeoutMs = 10_000) {
    this.client = client;
    this.timeoutMs = timeoutMs;
  }

  /** Applies a change once, even if it is sent several times. The first deposit opens the account. */
  async change(accountId: string, { id: updateId, kind, amount }: Change): Promise<Receipt> {
    const options = { updateId, args: [{ amount }] as [ChangeRequest] };
    const send = () =>
      kind === 'deposit'
        ? this.client.workflow.executeUpdateWithStart(CHANGE_UPDATES.deposit, {
            ...options,
            startWorkflowOperation: openAccount(accountId),
          })
        : this.handleOf(accountId).executeUpdate(CHANGE_UPDATES.withdraw, options);
    return await this.withTimeout(async () => {
      try {
        return await send();
      } catch (error) {
        // The run may have continued as new while the update was on its way. The next run has the same workflow id.
        if (!isNotFound(error)) throw error;
        return await send();
      }
    });
  }

  async view(accountId: string): Promise<AccountView> {
    return await this.withTimeout(() => this.handleOf(accountId).query(accountQuery));
  }

  async close(accountId: string): Promise<void> {
    await this.handleOf(accountId).signal(closeSignal);
  }

  private handleOf(accountId: string): WorkflowHandle<typeof bankAccount> {
    return this.client.workflow.getHandle(accountWorkflowId(accountId));
  }

  private async withTimeout<T>(call: () => Promise<T>): Promise<T> {
    return await this.client.withDeadline(Date.now() + this.timeoutMs, call);
  }
}

const openAccount = (accountId: string) =>
  new WithStartWorkflowOperation<typeof bankAccount>('bankAccount', {
    workflowId: accountWorkflowId(accountId),
    taskQueue: ACCOUNT_TASK_QUEUE,
    args: [],
    workflowIdConflictPolicy: 'USE_EXISTING',
    // A closed account stays closed.
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
  });
