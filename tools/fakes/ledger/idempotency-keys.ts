/** How long an idempotency key is valid. The test interface can change it. */
const DEFAULT_RETENTION_SECONDS = 24 * 60 * 60;

/** The validity of idempotency keys. A call with an expired key is a new call. */
export class IdempotencyKeys {
  /** Null: keys never expire. */
  retentionSeconds: number | null = DEFAULT_RETENTION_SECONDS;

  /** When the keys of an order expired early, by order id. */
  readonly #expiredAt = new Map<string, number>();

  /** Makes the keys that calls for an order have used so far expire. */
  expire(orderId: string): void {
    this.#expiredAt.set(orderId, Date.now());
  }

  /** The record of an earlier call with the same key, unless the key has expired. */
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
