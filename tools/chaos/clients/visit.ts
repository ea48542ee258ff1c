import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { Asked, Ledger } from '../ledger.js';
import type { Random } from '../random.js';
import { unanswered, type Answer, type Attempt, type Caller } from './caller.js';

/** One customer who runs one story: with the shared ledger and connection, but with its own ids and random numbers. */
export interface Visit {
  /** Unique to this visit; its ids and keys begin with it. */
  id: string;
  random: Random;
  ledger: Ledger;
  caller: Caller;
  /** Aborted when the visit has to end. */
  left: AbortSignal;
  /** URLs that receive callbacks, and the secrets that sign callbacks to the API. */
  outside: { apiUrl: string; answersUrl: string; carrierSecret: string; approvalSecret: string };
}

/** What edge cases need besides the API. */
export interface Tools {
  /** For actions that need Temporal's own client: a start with other options, a reset. */
  client: Client;
  /** For situations that take days: it backdates records. */
  store: Store;
  /** Records the order that the edge case is about. */
  isAbout: (orderId: string) => void;
}

/**
 * The share of requests that are repeated after their response, and the share that is sent twice at the same moment.
 */
const REPEATED = 0.1;
const TWICE_AT_ONCE = 0.05;

/** A new request of this visit. */
export const aRequest = ({ id }: Visit, name: string): Asked => unanswered(`${id}-${name}`);

/** The request's Idempotency-Key header. */
export const named = ({ key }: Asked) => ({ 'Idempotency-Key': key });

/** Sends a request until its outcome is known, and sometimes repeats it under the same key. */
export async function ask<T>(
  { caller, random }: Visit,
  asked: Asked,
  what: string,
  send: (attempt: Attempt) => Promise<Answer<T>>,
  toName: (said: T) => string,
): Promise<T | undefined> {
  const once = () => caller.ask(asked, what, send, toName);
  const [atOnce, again] = [random.chance(TWICE_AT_ONCE), random.chance(REPEATED)];
  const [said] = await Promise.all(atOnce ? [once(), once()] : [once()]);
  if (again && asked.fate !== 'unknown') await once();
  return said;
}
