import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { Asked, Ledger } from '../ledger.js';
import type { Random } from '../random.js';
import { unanswered, type Answer, type Attempt, type Caller } from './caller.js';

/** One customer doing one thing: everybody's ledger and connection, but ids and chances of its own. */
export interface Visit {
  /** Of this visit alone; ids and keys begin with it. */
  id: string;
  random: Random;
  ledger: Ledger;
  caller: Caller;
  /** Aborted when it is time to leave. */
  left: AbortSignal;
  /** Where a callback may be sent to, and the secrets of those who send them here. */
  outside: { apiUrl: string; answersUrl: string; carrierSecret: string; approvalSecret: string };
}

/** What edge cases need besides the API. */
export interface Tools {
  /** For what is done by Temporal's own tools: a start with other options, a reset. */
  client: Client;
  /** For what takes days: records are made older. */
  store: Store;
  /** Notes which order the edge case is about. */
  isAbout: (orderId: string) => void;
}

/** How often somebody asks again although he was answered, and how often twice at the same moment. */
const REPEATED = 0.1;
const TWICE_AT_ONCE = 0.05;

/** A request of this visit that is about to be sent. */
export const aRequest = ({ id }: Visit, name: string): Asked => unanswered(`${id}-${name}`);

/** The header that names a request. */
export const named = ({ key }: Asked) => ({ 'Idempotency-Key': key });

/** Sends a request until it is known what became of it, now and then once more under the same key. */
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
