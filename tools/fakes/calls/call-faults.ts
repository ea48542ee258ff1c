import { z } from 'zod';

/**
 * Names of the calls in the test interface: five operations with an effect, and two queries by order id. `intent` is the
 * creation of a PaymentIntent, which only Stripe's calls have.
 */
export const operationSchema = z.enum([
  'intent',
  'charge',
  'refund',
  'shipment',
  'cancellation',
  'payment',
  'tracking',
]);

export const faultSchema = z.strictObject({
  on: operationSchema,
  orderId: z.string().min(1).optional(),
  fault: z.enum(['lose-response', 'error', 'slow', 'malformed', 'unreachable']),
  /** Number of calls that get the fault. -1 means all calls until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** HTTP status of the fault `error`. */
  status: z.int().min(300).max(599).default(503),
  /**
   * Error code of the fault `error`. If null, the response is an HTML page without a code, like an error page of a
   * proxy.
   */
  code: z.string().min(1).max(64).nullable().default('injected_fault'),
  /** Value of the `Retry-After` header of the fault `error`. */
  retryAfter: z.string().min(1).max(100).optional(),
  /** Delay of the fault `slow`. */
  delayMs: z.int().nonnegative().max(600_000).default(1000),
});

export type OperationName = z.infer<typeof operationSchema>;
export type CallFault = z.infer<typeof faultSchema>;

/** The injected faults for future calls. A call gets the oldest fault that matches. */
export class CallFaults {
  #waiting: CallFault[] = [];

  add(fault: z.input<typeof faultSchema>): void {
    this.#waiting.push(faultSchema.parse(fault));
  }

  /** Removes the faults of one order, or all faults if `orderId` is undefined. */
  clear(orderId?: string): void {
    this.#waiting = orderId === undefined ? [] : this.#waiting.filter((waiting) => waiting.orderId !== orderId);
  }

  /** Returns the faults that affect all calls of one kind, until they are removed. */
  permanent(on: OperationName): readonly CallFault[] {
    return this.#waiting.filter((waiting) => waiting.on === on && isPermanent(waiting));
  }

  /** Removes the faults that affect all calls of one kind. */
  clearPermanent(on: OperationName): void {
    this.#waiting = this.#waiting.filter((waiting) => !(waiting.on === on && isPermanent(waiting)));
  }

  /** Returns the fault for this call, if any, and reduces the number of calls that the fault still affects. */
  take(on: OperationName, orderId: string): CallFault | undefined {
    const fault = this.#waiting.find(
      (waiting) => waiting.on === on && (waiting.orderId === undefined || waiting.orderId === orderId),
    );
    if (fault && fault.times > 0 && --fault.times === 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    return fault;
  }
}

const isPermanent = ({ orderId, times }: CallFault) => orderId === undefined && times === -1;
