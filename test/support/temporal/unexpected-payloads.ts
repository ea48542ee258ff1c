import type { Payload } from '@temporalio/common';
import fc from 'fast-check';

/** A payload that no client of this project sends. */
export interface UnexpectedPayload {
  /** The description that the report of a failed test prints. */
  description: string;
  payload: Payload;
  /** True if no workflow can read the payload. False if the payload is only too large. */
  isUnreadable: boolean;
}

const NESTING_DEPTH = 100_000;
const MEGABYTE = 1_000_000;

const jsonPayload = (json: string): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(json),
});
const payloadWithEncoding = (encoding: string): Payload => ({
  metadata: { encoding: Buffer.from(encoding) },
  data: Buffer.from('{}'),
});

/** Payloads that are invalid for every message. */
const MALFORMED_PAYLOADS: Record<string, Payload> = {
  'an unknown encoding': payloadWithEncoding('binary/unknown'),
  'an encoding with a long name': payloadWithEncoding('x'.repeat(10_000)),
  'protobuf as JSON': payloadWithEncoding('json/protobuf'),
  protobuf: payloadWithEncoding('binary/protobuf'),
  'encrypted without the id of a key': payloadWithEncoding('binary/encrypted'),
  'no metadata': { data: Buffer.from('{}') },
  'an empty encoding': payloadWithEncoding(''),
  'no data': { metadata: { encoding: Buffer.from('json/plain') } },
  'JSON that ends early': jsonPayload('{"a":'),
  'bytes that are not UTF-8': { ...jsonPayload(''), data: Buffer.from([0x22, 0xc3, 0x28, 0xff, 0x22]) },
  'nested lists': jsonPayload('['.repeat(NESTING_DEPTH) + ']'.repeat(NESTING_DEPTH)),
  'nested objects': jsonPayload('{"a":'.repeat(NESTING_DEPTH) + 'null' + '}'.repeat(NESTING_DEPTH)),
  'numbers that grow when they are written': jsonPayload(`[${'1e20,'.repeat(200_000)}0]`),
};

/** Texts that PostgreSQL, Protobuf or the payload limit rejects. `JSON.stringify` escapes NUL and lone surrogates. */
const PROBLEM_TEXTS: Record<string, { text: string; isUnreadable: boolean }> = {
  'a lone high surrogate': { text: '\ud800', isUnreadable: true },
  'a lone low surrogate between letters': { text: 'a\udc00b', isUnreadable: true },
  NUL: { text: 'a\0b', isUnreadable: true },
  'a megabyte': { text: 'x'.repeat(MEGABYTE), isUnreadable: false },
  'a megabyte with a lone surrogate at its end': { text: `${'x'.repeat(MEGABYTE)}\ud800`, isUnreadable: true },
};

/**
 * Generates unexpected payloads for a valid argument: malformed payloads, and arguments with a problem text in place of
 * one text, as an additional key, or in place of the whole argument.
 */
export function unexpectedPayload(valid: object): fc.Arbitrary<UnexpectedPayload> {
  const brokenOnes = fc
    .constantFrom(...Object.entries(MALFORMED_PAYLOADS))
    .map(([description, payload]) => ({ description, payload, isUnreadable: true }));
  const places = [...textPaths(valid), 'a key', 'the whole argument'];
  const malformed = fc
    .tuple(fc.constantFrom(...Object.entries(PROBLEM_TEXTS)), fc.constantFrom(...places))
    .map(([[description, { text, isUnreadable }], place]) => ({
      description: `${description} as ${place}`,
      payload: jsonPayload(JSON.stringify(replaceText(valid, place, text))),
      isUnreadable,
    }));
  return fc.oneof({ weight: 2, arbitrary: brokenOnes }, { weight: 3, arbitrary: malformed }).map(showDescription);
}

/** Prints a counterexample as its description, because the payload can have a megabyte. */
const showDescription = (foreign: UnexpectedPayload): UnexpectedPayload =>
  Object.defineProperty(foreign, fc.toStringMethod, { value: () => foreign.description });

/**
 * Generates unexpected payloads for a memo field. They are small, because a list returns many memos in one message of
 * at most 4 MB.
 */
export const unexpectedMemo = (): fc.Arbitrary<UnexpectedPayload> =>
  unexpectedPayload({ text: 'none' }).filter(({ payload }) => (payload.data?.length ?? 0) < MEGABYTE / 4);

/** Returns the paths of all texts in a value, for example `payment.token`. */
function textPaths(value: object): string[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
    if (typeof inner === 'string') return [key];
    return typeof inner === 'object' && inner ? textPaths(inner).map((path) => `${key}.${path}`) : [];
  });
}

function replaceText(valid: object, place: string, text: string): unknown {
  if (place === 'the whole argument') return text;
  if (place === 'a key') return { ...valid, [text]: 1 };
  const copy = structuredClone(valid) as Record<string, unknown>;
  const path = place.split('.');
  const last = path.pop()!;
  const parent = path.reduce((at, key) => at[key] as Record<string, unknown>, copy);
  parent[last] = text;
  return copy;
}
