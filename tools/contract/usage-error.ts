/** An argument or a variable of the command is wrong. The message says what to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
