import { z } from 'zod';

/** The calls, as the test interface names them: four operations with an effect, and two queries by order id. */
export const operationSchema = z.enum(['charge', 'refund', 'shipment', 'cancellation', 'payment', 'tracking']);

export const faultSchema = z.strictObject({
  on: operationSchema,
  orderId: z.string().min(1).optional(),
  fault: z.enum(['lose-response', 'error', 'slow', 'malformed', 'unreachable']),
  /** How many calls the fault hits; -1: all, until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** The status that `error` returns. */
  status: z.int().min(300).max(599).default(503),
  /** The error code in the response of `error`; null: a page without an error code, as from a proxy. */
  code: z.string().min(1).max(64).nullable().default('injected_fault'),
  /** The header `Retry-After` in the response of `error`. */
  retryAfter: z.string().min(1).max(100).optional(),
  /** How long `slow` takes. */
  delayMs: z.int().nonnegative().max(600_000).default(1000),
});

export type OperationName = z.infer<typeof operationSchema>;
export type CallFault = z.infer<typeof faultSchema>;

/** The injected faults that wait for their calls. The oldest matching fault is used first. */
export class CallFaults {
  #waiting: CallFault[] = [];

  /** Adds a fault for later calls. */
  add(fault: z.input<typeof faultSchema>): void {
    this.#waiting.push(faultSchema.parse(fault));
  }

  /** Removes the faults of one order, or all faults. */
  clear(orderId?: string): void {
    this.#waiting = orderId === undefined ? [] : this.#waiting.filter((waiting) => waiting.orderId !== orderId);
  }

  /** Returns the fault that hits this call, if any, and counts this use of it. */
  take(on: OperationName, orderId: string): CallFault | undefined {
    const fault = this.#waiting.find(
      (waiting) => waiting.on === on && (waiting.orderId === undefined || waiting.orderId === orderId),
    );
    if (fault && fault.times > 0 && --fault.times === 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    return fault;
  }
}
