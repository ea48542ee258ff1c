import type { Readable } from 'node:stream';
import { bodyTooLarge, malformedRequest, tooLarge } from '../../problems/http-problem.js';

export type ItemFormat = 'ndjson' | 'csv';

export interface SplitLinesOptions {
  format: ItemFormat;
  /** Separates the values of a CSV record; a comma by default. */
  delimiter?: string | undefined;
  /** Maximum size of the whole body. */
  maxBytes: number;
  /** Maximum length of a line or record in UTF-16 code units, without its line ending. */
  maxLineLength: number;
}

/** A line of an upload without its line ending. In CSV, a record, which can contain line feeds inside quotes. */
export interface Line {
  /** The number of the line on which `text` starts. The first line is 1. */
  line: number;
  text: string;
}

/**
 * Yields the non-blank lines of a body, one list for each stream chunk. Line numbers count blank lines too. Memory
 * holds at most one stream chunk and the start of one line. The body is read only when the consumer requests lines. The
 * body is not destroyed when the consumer stops early.
 *
 * @throws 400 for text that is not UTF-8, 413 for a body or line that is too long, and the body's own error when the
 * connection breaks.
 */
export async function* splitLines(body: Readable, options: SplitLinesOptions): AsyncGenerator<Line[]> {
  const { format, delimiter = ',', maxBytes, maxLineLength } = options;
  const separators = format === 'csv' ? /["\n]/g : /\n/g;
  let pending = '';
  let line = 1;
  let lineFeeds = 0;
  let isQuoted = false;
  let lastClosingQuote = Number.NaN;

  const lineUpTo = (text: string, start: number, end: number): Line => {
    const lineText = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    if (lineText.length > maxLineLength) throw lineTooLong(line, options);
    return { line, text: lineText };
  };

  for await (const chunk of decodeBody(body, maxBytes)) {
    const text = pending + chunk;
    const lines: Line[] = [];
    let start = 0;
    separators.lastIndex = pending.length;
    for (let match = separators.exec(text); match; match = separators.exec(text)) {
      const at = match.index;
      if (match[0] === '"') {
        // A quote opens a value only at the start of the value. A quote directly after a closing quote reopens the
        // value, because two quotes inside a quoted value mean one quote character.
        isQuoted = !isQuoted && (at === start || text[at - 1] === delimiter || at === lastClosingQuote + 1);
        if (!isQuoted) lastClosingQuote = at;
        continue;
      }
      lineFeeds += 1;
      if (isQuoted) continue;
      const found = lineUpTo(text, start, at);
      if (!isBlank(found, delimiter)) lines.push(found);
      start = at + 1;
      line += lineFeeds;
      lineFeeds = 0;
    }
    pending = text.slice(start);
    lastClosingQuote -= start;
    // Allows one more character, because the last character may be the CR of a CRLF.
    if (pending.length > maxLineLength + 1) throw lineTooLong(line, options);
    if (lines.length > 0) yield lines;
  }
  const last = lineUpTo(pending, 0, pending.length);
  if (!isBlank(last, delimiter)) yield [last];
}

async function* decodeBody(body: Readable, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw malformedRequest('the body is not UTF-8');
    }
  };
  let bytes = 0;
  // Does not destroy the request, because that would close its socket before the API can send an error response.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
    yield decode(chunk);
  }
  decode();
}

/** If the delimiter is a tab, a record that contains only tabs is not blank, because it has empty values. */
const isBlank = ({ text }: Line, delimiter: string): boolean => text.trim() === '' && !text.includes(delimiter);

const lineTooLong = (line: number, { format, maxLineLength }: SplitLinesOptions) =>
  tooLarge(
    format === 'csv'
      ? `the record at line ${line} has more than ${maxLineLength} characters; check for a quote that is not closed`
      : `line ${line} has more than ${maxLineLength} characters`,
  );
