/** Means to fail; but the SDK takes it for a bug and tries the workflow task again, for ever. */
export async function throwsAnError(): Promise<void> {
  throw new Error('unknown SKU');
}
