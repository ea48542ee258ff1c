import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { LoggedRequest, ClientLog } from '../client-log.js';
import type { SeededRandom } from '../random.js';
import { newLoggedRequest, type ApiResponse, type SendContext, type RetryingClient } from './retrying-client.js';

/** One customer who runs one scenario: with the shared ledger and connection, but with its own ids and random numbers. */
export interface ClientSession {
  /** Unique to this session; its ids and keys begin with it. */
  id: string;
  random: SeededRandom;
  log: ClientLog;
  http: RetryingClient;
  /** Aborted when the session has to end. */
  stopSignal: AbortSignal;
  /** URLs that receive callbacks, and the secrets that sign callbacks to the API. */
  endpoints: { apiUrl: string; webhookSinkUrl: string; carrierWebhookSecret: string; approvalWebhookSecret: string };
}

/** What edge cases need besides the API. */
export interface DirectAccess {
  /** For actions that need Temporal's own client: a start with other options, a reset. */
  client: Client;
  /** For situations that take days: it backdates records. */
  store: Store;
  /** Records the order that the edge case is about. */
  setOrderId: (orderId: string) => void;
}

/**
 * The share of requests that are repeated after their response, and the share that is sent twice at the same moment.
 */
const REPEAT_PROBABILITY = 0.1;
const DUPLICATE_PROBABILITY = 0.05;

/** A new request of this session. */
export const createRequest = ({ id }: ClientSession, name: string): LoggedRequest => newLoggedRequest(`${id}-${name}`);

/** The request's Idempotency-Key header. */
export const idempotencyHeader = ({ key }: LoggedRequest) => ({ 'Idempotency-Key': key });

/** Sends a request until its outcome is known, and sometimes repeats it under the same key. */
export async function sendRequest<T>(
  { http, random }: ClientSession,
  asked: LoggedRequest,
  what: string,
  send: (attempt: SendContext) => Promise<ApiResponse<T>>,
  summarise: (body: T) => string,
): Promise<T | undefined> {
  const once = () => http.send(asked, what, send, summarise);
  const [atOnce, again] = [random.chance(DUPLICATE_PROBABILITY), random.chance(REPEAT_PROBABILITY)];
  const [said] = await Promise.all(atOnce ? [once(), once()] : [once()]);
  if (again && asked.outcome !== 'unknown') await once();
  return said;
}
