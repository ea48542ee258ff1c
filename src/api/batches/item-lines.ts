import type { Readable } from 'node:stream';
import { bodyTooLarge, malformedRequest, tooLarge } from '../plugins/errors.js';

export type ItemFormat = 'ndjson' | 'csv';

export interface LinesOptions {
  format: ItemFormat;
  /** Between the values of a CSV record; a comma by default. */
  delimiter?: string | undefined;
  /** Of the whole body. */
  maxBytes: number;
  /** Characters (UTF-16 code units) of a line or record, without its line ending. */
  maxLineLength: number;
}

/** A line of an upload, or a CSV record, which goes on over line feeds between quotes; without its line ending. */
export interface Line {
  /** Where it starts, counted from one. */
  line: number;
  text: string;
}

/**
 * The lines of a body, as many at once as a chunk has; blank ones are left out, but count. No more than a chunk and the
 * start of one line is held. The body is read as lines are asked for, and not destroyed when no more of them are wanted.
 *
 * @throws 400 for what is not UTF-8, 413 for too long a body or line, and the body's own error when it breaks off.
 */
export async function* linesOf(body: Readable, options: LinesOptions): AsyncGenerator<Line[]> {
  const { format, delimiter = ',', maxBytes, maxLineLength } = options;
  const marks = format === 'csv' ? /["\n]/g : /\n/g;
  let held = '';
  let line = 1;
  let lineFeeds = 0;
  let quoted = false;
  let closed = Number.NaN;

  const lineUpTo = (text: string, start: number, end: number): Line => {
    const found = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    if (found.length > maxLineLength) throw tooLong(line, options);
    return { line, text: found };
  };

  for await (const chunk of textOf(body, maxBytes)) {
    const text = held + chunk;
    const lines: Line[] = [];
    let start = 0;
    marks.lastIndex = held.length;
    for (let mark = marks.exec(text); mark; mark = marks.exec(text)) {
      const at = mark.index;
      if (mark[0] === '"') {
        // Only a quote in front of a value opens it; one right behind a closing quote means that neither of them closes.
        quoted = !quoted && (at === start || text[at - 1] === delimiter || at === closed + 1);
        if (!quoted) closed = at;
        continue;
      }
      lineFeeds += 1;
      if (quoted) continue;
      const found = lineUpTo(text, start, at);
      if (!isBlank(found, delimiter)) lines.push(found);
      start = at + 1;
      line += lineFeeds;
      lineFeeds = 0;
    }
    held = text.slice(start);
    closed -= start;
    // One more than allowed: the last character may be the CR of a CRLF.
    if (held.length > maxLineLength + 1) throw tooLong(line, options);
    if (lines.length > 0) yield lines;
  }
  const last = lineUpTo(held, 0, held.length);
  if (!isBlank(last, delimiter)) yield [last];
}

async function* textOf(body: Readable, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw malformedRequest('the body is not UTF-8');
    }
  };
  let bytes = 0;
  // Destroying a request closes its socket, and then a refusal could not be answered any more.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
    yield decode(chunk);
  }
  decode();
}

/** A record of nothing but tabs has values, which are empty. */
const isBlank = ({ text }: Line, delimiter: string): boolean => text.trim() === '' && !text.includes(delimiter);

const tooLong = (line: number, { format, maxLineLength }: LinesOptions) =>
  tooLarge(
    format === 'csv'
      ? `the record at line ${line} has more than ${maxLineLength} characters; is a quote not closed?`
      : `line ${line} has more than ${maxLineLength} characters`,
  );
