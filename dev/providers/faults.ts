import { z } from 'zod';

/** The calls, as the test interface names them: those that have an effect, and two questions by order id. */
export const operationSchema = z.enum(['charge', 'refund', 'shipment', 'cancellation', 'payment', 'tracking']);

export const faultSchema = z.strictObject({
  on: operationSchema,
  orderId: z.string().min(1).optional(),
  fault: z.enum(['lose-answer', 'error', 'slow', 'malformed', 'unreachable']),
  /** How many calls it hits; -1: all until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** What `error` answers. */
  status: z.int().min(300).max(599).default(503),
  /** The error code of the answer of `error`; null: a page without an error code, as from a proxy. */
  code: z.string().min(1).max(64).nullable().default('injected_fault'),
  /** The header `Retry-After` of the answer of `error`. */
  retryAfter: z.string().min(1).max(100).optional(),
  /** How long `slow` takes. */
  delayMs: z.int().nonnegative().max(600_000).default(1000),
});

export type OperationName = z.infer<typeof operationSchema>;
export type Fault = z.infer<typeof faultSchema>;

/** The faults that wait for their calls. The oldest one that matches is used first. */
export class Faults {
  #waiting: Fault[] = [];

  /** Adds a fault for calls to come. */
  add(fault: z.input<typeof faultSchema>): void {
    this.#waiting.push(faultSchema.parse(fault));
  }

  /** Removes the faults of one order, or all faults. */
  clear(orderId?: string): void {
    this.#waiting = orderId === undefined ? [] : this.#waiting.filter((waiting) => waiting.orderId !== orderId);
  }

  /** The fault that hits this call, if any; it is used up by it. */
  take(on: OperationName, orderId: string): Fault | undefined {
    const fault = this.#waiting.find(
      (waiting) => waiting.on === on && (waiting.orderId === undefined || waiting.orderId === orderId),
    );
    if (fault && fault.times > 0 && --fault.times === 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    return fault;
  }
}
