/** The replacement for characters that are not valid text. UTF-8 encoders use the same character. */
const REPLACEMENT_CHARACTER = '\ufffd';

/**
 * Replaces lone surrogates and NUL with U+FFFD. protobufjs encodes a short text with a lone surrogate as invalid UTF-8,
 * which makes the SDK's core stop the worker. PostgreSQL rejects NUL.
 */
export function toWellFormedText(text: string): string {
  return text.toWellFormed().replaceAll('\0', REPLACEMENT_CHARACTER);
}

/** Like `toWellFormedText`, but returns at most `max` UTF-16 code units. A truncated text ends with an ellipsis. */
export function truncateText(text: string, max: number): string {
  if (text.length <= max) return toWellFormedText(text);
  const cut = text.slice(0, max - 1);
  const splitsPair = isHighSurrogate(cut.charCodeAt(cut.length - 1));
  return `${toWellFormedText(splitsPair ? cut.slice(0, -1) : cut)}…`;
}

/** Whether `toWellFormedText` would return the text unchanged. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;
