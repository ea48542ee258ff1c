/** How long the providers remember an idempotency key. The test interface can change it. */
const DEFAULT_RETENTION_SECONDS = 24 * 60 * 60;

/** The providers' memory of idempotency keys. A call with a forgotten key is a new call. */
export class IdempotencyKeys {
  /** Null means that keys are never forgotten. */
  retentionSeconds: number | null = DEFAULT_RETENTION_SECONDS;

  /** By order id, when its keys were forgotten early. */
  readonly #forgottenAt = new Map<string, number>();

  /** Forgets the keys that calls for an order have used so far. */
  expire(orderId: string): void {
    this.#forgottenAt.set(orderId, Date.now());
  }

  /** The record of an earlier call with the same key, unless the key is forgotten. */
  unlessExpired<Record extends { at: string; request: { orderId: string } }>(
    record: Record | undefined,
  ): Record | undefined {
    if (!record) return undefined;
    const forgottenAt = this.#forgottenAt.get(record.request.orderId) ?? -Infinity;
    if (Date.parse(record.at) <= forgottenAt) return undefined;
    if (this.retentionSeconds === null) return record;
    return Date.now() - Date.parse(record.at) < this.retentionSeconds * 1000 ? record : undefined;
  }
}
