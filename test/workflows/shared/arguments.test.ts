import fc from 'fast-check';
import { expect, test } from 'vitest';
import { callerId, text } from '../../../src/schemas/shared/primitives.js';
import { isCallerId, isText } from '../../../src/workflows/shared/arguments.js';

const parts = fc.constantFrom(
  'a',
  'Z',
  '0',
  '@',
  '|',
  "'",
  '"',
  ' ',
  '_',
  '-',
  'é',
  '😀',
  '\n',
  '\0',
  '\ud800',
  '\udc00',
);
const texts = fc.oneof(fc.string({ unit: parts, maxLength: 6 }), fc.constantFrom('x'.repeat(120), 'x'.repeat(121)));

test('isCallerId accepts the same values as the schema', () => {
  fc.assert(fc.property(texts, (value) => isCallerId(value) === callerId.safeParse(value).success));
  expect([undefined, null, 7, ['a'], {}].filter(isCallerId)).toEqual([]);
});

test('isText accepts the empty text and all values that the schema accepts', () => {
  const schema = text(5);
  fc.assert(fc.property(texts, (value) => isText(value, 5) === (value === '' || schema.safeParse(value).success)));
  expect([undefined, null, 7, ['a'], {}].filter((value) => isText(value, 5))).toEqual([]);
});
