import type { FastifyInstance } from 'fastify';
import type { CallFaults, OperationName } from './calls/call-faults.js';
import type { Hold, HoldOptions, Holds } from './calls/holds.js';
import type { ReceivedRequest } from './calls/received-requests.js';
import type { createFakeCarrier } from './carrier/carrier.js';
import type { IdempotencyKeys } from './ledger/idempotency-keys.js';
import type { Ledger } from './ledger/ledger.js';
import type { Mailbox } from './mailbox/mailbox.js';
import type { StripeEventSender } from './stripe/event-sender.js';
import type { StripePayments } from './stripe/payment-intents.js';
import type { SlackWorkspace } from './slack/workspace.js';

/** The fake external systems, with the methods that tests use to control them. */
export interface Fakes {
  app: FastifyInstance;
  ledger: Ledger;
  faults: CallFaults;
  holds: Holds;
  idempotencyKeys: IdempotencyKeys;
  carrier: ReturnType<typeof createFakeCarrier>;
  mailbox: Mailbox;
  slack: SlackWorkspace;
  /** The signed events of the fake Stripe. */
  stripeEvents: StripeEventSender;
  stripePayments: StripePayments;
  /** Returns the ledger records and the received calls of one order, or of all orders if `orderId` is undefined. */
  records: (orderId?: string) => ReturnType<Ledger['records']> & { requests: ReceivedRequest[] };
  /** Makes the calls of one kind for one order wait until the returned hold is released. */
  hold: (on: OperationName, orderId: string, options?: HoldOptions) => Hold;
  setCallbackUrl: (url: string) => void;
  /** Starts the mail server and returns its address, `smtp://host:port`. Port 0 chooses a free port. */
  listenSmtp: (where: { host: string; port: number }) => Promise<string>;
  close: () => Promise<void>;
}
