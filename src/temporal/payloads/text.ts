/** What stands for a character that is not text; the same that UTF-8 encoders use. */
const REPLACEMENT = '\ufffd';

/**
 * Text that every reader can take: lone surrogates and NUL become U+FFFD. protobufjs writes a short text with a lone
 * surrogate as invalid UTF-8, which the SDK's core answers by ending the worker; PostgreSQL rejects NUL.
 */
export function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll('\0', REPLACEMENT);
}

/** Like `wellFormed`, with at most `max` UTF-16 code units; text that is cut ends with an ellipsis. */
export function bounded(text: string, max: number): string {
  if (text.length <= max) return wellFormed(text);
  const cut = text.slice(0, max - 1);
  const splitsPair = isHighSurrogate(cut.charCodeAt(cut.length - 1));
  return `${wellFormed(splitsPair ? cut.slice(0, -1) : cut)}…`;
}

/** Whether `wellFormed` leaves the text as it is. */
export function isWellFormed(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;
