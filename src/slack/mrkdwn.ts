import { toWellFormedText } from '../text/well-formed-text.js';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/**
 * Escapes a text for Slack's mrkdwn, so that it can contain no mention and no link. Returns at most `max` UTF-16 code
 * units. A truncated text ends with an ellipsis and never in the middle of an escape.
 */
export function escapeMrkdwn(text: string, max: number): string {
  const pieces = Array.from(toWellFormedText(text), (character) => ESCAPES[character] ?? character);
  const escaped = pieces.join('');
  if (escaped.length <= max) return escaped;
  let cut = '';
  for (const piece of pieces) {
    if (cut.length + piece.length > max - 1) break;
    cut += piece;
  }
  return `${cut}…`;
}

/** Like `escapeMrkdwn`, on one line. */
export const escapeLine = (text: string, max: number): string => escapeMrkdwn(text.replace(/\s+/g, ' ').trim(), max);
