/** How long the providers remember an idempotency key unless the test interface says otherwise. */
const DEFAULT_RETENTION_SECONDS = 24 * 60 * 60;

/** The providers' memory for idempotency keys. A call with a forgotten key is a new call. */
export class KeyMemory {
  /** Null: for ever. */
  retentionSeconds: number | null = DEFAULT_RETENTION_SECONDS;

  /** The record of an earlier call with the same key, unless the key is forgotten. */
  recall<Record extends { at: string }>(record: Record | undefined): Record | undefined {
    if (!record || this.retentionSeconds === null) return record;
    return Date.now() - Date.parse(record.at) < this.retentionSeconds * 1000 ? record : undefined;
  }
}
