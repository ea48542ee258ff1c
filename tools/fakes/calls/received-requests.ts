import type { FastifyRequest } from 'fastify';

const MAX_REQUESTS = 10_000;

/** A received call. `status` is null until the response is sent, and stays null if no response is sent. */
export interface ReceivedRequest {
  at: string;
  method: string;
  path: string;
  orderId: string | null;
  idempotencyKey: string | null;
  body: unknown;
  status: number | null;
  /** The trace context that the caller sent, if any. */
  traceparent?: string;
  fault?: string;
}

/** Keeps the newest calls in memory, so that tests can check what the application sent. */
export class ReceivedRequests {
  readonly #requests: ReceivedRequest[] = [];

  /**
   * Records a call on arrival. The route handler sets `status` and `fault` of the returned record later.
   *
   * @param orderId the order of a call whose body does not contain the order id.
   */
  record(
    { method, url, headers, body }: FastifyRequest,
    orderId: unknown = (body as { orderId?: unknown } | null | undefined)?.orderId,
  ): ReceivedRequest {
    const key = headers['idempotency-key'];
    const received: ReceivedRequest = {
      at: new Date().toISOString(),
      method,
      path: url,
      orderId: typeof orderId === 'string' ? orderId : null,
      idempotencyKey: typeof key === 'string' ? key : null,
      body,
      status: null,
      ...(typeof headers['traceparent'] === 'string' && { traceparent: headers['traceparent'] }),
    };
    this.#requests.push(received);
    if (this.#requests.length > MAX_REQUESTS) this.#requests.shift();
    return received;
  }

  /** Returns the calls for one order, or all calls if `orderId` is undefined. */
  list(orderId?: string): ReceivedRequest[] {
    const requests = this.#requests.filter((request) => orderId === undefined || request.orderId === orderId);
    return requests.map((request) => ({ ...request }));
  }
}
