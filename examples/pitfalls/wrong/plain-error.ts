/**
 * The error should fail the workflow. But the SDK treats a plain Error as a bug and retries the workflow task forever.
 */
export async function throwPlainError(): Promise<void> {
  throw new Error('unknown SKU');
}
