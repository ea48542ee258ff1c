import type { FastifyRequest } from 'fastify';

const REMEMBERED = 10_000;

/** One call as it came in. `status` is null as long as, or because, there was no answer. */
export interface ReceivedRequest {
  at: string;
  method: string;
  path: string;
  orderId: string | null;
  idempotencyKey: string | null;
  body: unknown;
  status: number | null;
  /** The trace that it was a part of, if the caller said so. */
  traceparent?: string;
  fault?: string;
}

/** The newest calls in memory, so that a test can assert what was really sent. */
export class ReceivedRequests {
  readonly #requests: ReceivedRequest[] = [];

  /** Notes a call on its arrival; the answer is filled in later. */
  note({ method, url, headers, body }: FastifyRequest): ReceivedRequest {
    const orderId = (body as { orderId?: unknown } | null | undefined)?.orderId;
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
    if (this.#requests.length > REMEMBERED) this.#requests.shift();
    return received;
  }

  /** The calls for one order, or all. */
  list(orderId?: string): ReceivedRequest[] {
    const concerned = this.#requests.filter((request) => orderId === undefined || request.orderId === orderId);
    return concerned.map((request) => ({ ...request }));
  }
}
