import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { LoggedRequest, ClientLog } from '../client-log.js';
import type { SeededRandom } from '../random.js';
import { newLoggedRequest, type ApiResponse, type SendContext, type RetryingClient } from './retrying-client.js';

/**
 * One customer who runs one scenario. All sessions share the log and the HTTP client. Each session has its own ids and
 * random numbers.
 */
export interface ClientSession {
  /** Unique to this session. All ids and keys of the session start with it. */
  id: string;
  random: SeededRandom;
  log: ClientLog;
  http: RetryingClient;
  /** Aborts when the session must end. */
  stopSignal: AbortSignal;
  /** The URLs for callbacks, and the secrets with which the session signs callbacks to the API. */
  endpoints: { apiUrl: string; webhookSinkUrl: string; carrierWebhookSecret: string; approvalWebhookSecret: string };
}

/** What edge cases use in addition to the API. */
export interface DirectAccess {
  /** For actions that only a Temporal client can do, such as a reset. */
  client: Client;
  /** For backdating records, which simulates situations that take days. */
  store: Store;
  /** Sets the order to which the edge case belongs. */
  setOrderId: (orderId: string) => void;
}

/** The probabilities that a request is repeated after its response, and that it is sent twice at the same time. */
const REPEAT_PROBABILITY = 0.1;
const DUPLICATE_PROBABILITY = 0.05;

/** Creates a request of this session. */
export const createRequest = ({ id }: ClientSession, name: string): LoggedRequest => newLoggedRequest(`${id}-${name}`);

export const idempotencyHeader = ({ key }: LoggedRequest) => ({ 'Idempotency-Key': key });

/** Sends a request until its outcome is known. Sometimes sends it twice or repeats it under the same key. */
export async function sendRequest<T>(
  { http, random }: ClientSession,
  request: LoggedRequest,
  what: string,
  send: (attempt: SendContext) => Promise<ApiResponse<T>>,
  summarise: (body: T) => string,
): Promise<T | undefined> {
  const once = () => http.send(request, what, send, summarise);
  const [isDuplicated, isRepeated] = [random.chance(DUPLICATE_PROBABILITY), random.chance(REPEAT_PROBABILITY)];
  const [result] = await Promise.all(isDuplicated ? [once(), once()] : [once()]);
  if (isRepeated && request.outcome !== 'unknown') await once();
  return result;
}
