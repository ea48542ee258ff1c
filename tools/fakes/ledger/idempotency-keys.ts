/** Default lifetime of an idempotency key. The test interface can change the lifetime. */
export const DEFAULT_RETENTION_SECONDS = 24 * 60 * 60;

/** Decides which idempotency keys have expired. A call with an expired key counts as a new call. */
export class IdempotencyKeys {
  /** Null means that keys never expire. */
  retentionSeconds: number | null = DEFAULT_RETENTION_SECONDS;

  /** The time at which a test expired the keys of an order, by order id. */
  readonly #expiredAt = new Map<string, number>();

  /** Expires all keys that calls for this order have used so far. */
  expire(orderId: string): void {
    this.#expiredAt.set(orderId, Date.now());
  }

  /** Returns the record of an earlier call, or undefined if the key of that call has expired. */
  unlessExpired<Record extends { at: string; request: { orderId: string } }>(
    record: Record | undefined,
  ): Record | undefined {
    if (!record) return undefined;
    const expiredAt = this.#expiredAt.get(record.request.orderId) ?? -Infinity;
    if (Date.parse(record.at) <= expiredAt) return undefined;
    if (this.retentionSeconds === null) return record;
    return Date.now() - Date.parse(record.at) < this.retentionSeconds * 1000 ? record : undefined;
  }
}
