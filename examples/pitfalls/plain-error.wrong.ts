/** Should fail the workflow, but the SDK treats a plain Error as a bug and retries the workflow task for ever. */
export async function throwsAnError(): Promise<void> {
  throw new Error('unknown SKU');
}
