import { LIMITS, type AccountInput, type AccountView, type Change, type Receipt } from './contract.js';

export interface Rejection {
  type: 'InvalidInput' | 'AccountClosed' | 'InsufficientFunds';
  message: string;
}

/** The state and the rules of an account. Knows nothing of Temporal. */
export class Account {
  private balance: number;
  private isClosed = false;
  private receipts: Receipt[];
  private changesInThisRun = 0;
  private readonly changesPerRun: number;

  constructor({ balance = 0, receipts = [], changesPerRun = LIMITS.changesPerRun }: AccountInput = {}) {
    this.balance = balance;
    this.receipts = receipts;
    this.changesPerRun = changesPerRun;
  }

  get isOpen(): boolean {
    return !this.isClosed;
  }

  /** Whether the run must continue as new. */
  get isRunFull(): boolean {
    return this.changesInThisRun >= this.changesPerRun;
  }

  get nextRunInput(): AccountInput {
    const { balance, receipts, changesPerRun } = this;
    return { balance, receipts, changesPerRun };
  }

  view(): AccountView {
    return { status: this.isClosed ? 'closed' : 'open', balance: this.balance };
  }

  /** Returns why a change is rejected, or undefined. */
  rejectionOf({ id, kind, amount }: Change): Rejection | undefined {
    if (this.receiptOf(id)) return undefined;
    if (!Number.isInteger(amount) || amount < 1 || amount > LIMITS.amount) {
      return { type: 'InvalidInput', message: `amount must be an integer from 1 to ${LIMITS.amount}` };
    }
    if (this.isClosed) return { type: 'AccountClosed', message: 'the account is closed' };
    if (kind === 'withdraw' && amount > this.balance) {
      return { type: 'InsufficientFunds', message: `the balance is ${this.balance}` };
    }
    return undefined;
  }

  /** Applies an accepted change. A repeated change has no effect and returns the first receipt. */
  apply(change: Change): Receipt {
    this.changesInThisRun += 1;
    const earlier = this.receiptOf(change.id);
    if (earlier) return earlier;
    this.balance += change.kind === 'deposit' ? change.amount : -change.amount;
    const receipt = { ...change, balance: this.balance };
    this.receipts = [...this.receipts, receipt].slice(-LIMITS.receipts);
    return receipt;
  }

  close(): void {
    this.isClosed = true;
  }

  private receiptOf(id: string): Receipt | undefined {
    return this.receipts.find((receipt) => receipt.id === id);
  }
}
