import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { payloadConverter } from '../../../src/temporal/payloads/payload-converter.js';

const payload = (data: string | Uint8Array, encoding = 'json/plain'): Payload => ({
  metadata: { encoding: Buffer.from(encoding) },
  data: Buffer.from(data),
});
const nestedJson = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

describe('the payload converter', () => {
  test.each<[what: string, value: unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['bytes', new Uint8Array([0, 255])],
    ['JSON', { text: 'a "quoted" \\ud800 \n 😀', number: 1.5, list: [true, null] }],
    ['JSON of 32 levels', JSON.parse(nestedJson(32))],
  ])('encodes %s like the default converter, and decodes it to the same value', (_description, value) => {
    expect(payloadConverter.toPayload(value)).toEqual(defaultPayloadConverter.toPayload(value));
    expect(payloadConverter.fromPayload(defaultPayloadConverter.toPayload(value))).toEqual(value);
  });

  test('replaces NUL and lone surrogates with U+FFFD', () => {
    const { data } = payloadConverter.toPayload({ '\ud800': 'a\0b', pair: '😀' });
    expect(Buffer.from(data!).toString()).toBe('{"\ufffd":"a\ufffdb","pair":"😀"}');
  });

  test.each<[what: string, payload: Payload, message: RegExp]>([
    ['33 levels', payload(nestedJson(33)), /nested deeper than 32 levels/],
    ['100,000 levels', payload(nestedJson(100_000)), /nested deeper than 32 levels/],
    ['objects of 100,000 levels', payload('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000)), /deeper than 32/],
    ['a lone surrogate', payload('{"a":"\\uD800"}'), /lone surrogate/],
    ['a lone surrogate in a key', payload('{"\\udfff":1}'), /lone surrogate/],
    ['NUL', payload('["\\u0000"]'), /NUL/],
    ['bytes that are not UTF-8', payload(Buffer.from([0x22, 0xff, 0x22])), /not valid|encoded data/],
    ['text that is not JSON', payload('{'), /JSON/],
    ['numbers that grow beyond a payload', payload(`[${'1e20,'.repeat(200_000)}1]`), /too large when encoded again/],
    ['no data', { metadata: { encoding: Buffer.from('json/plain') } }, /no data/],
    ['an unknown encoding', payload('1', 'binary/unknown'), /Unknown encoding/],
  ])('rejects %s', (_description, rejected, message) => {
    expect(() => payloadConverter.fromPayload(rejected)).toThrow(message);
  });

  test('decodes escaped surrogate pairs and escaped backslashes', () => {
    expect(payloadConverter.fromPayload(payload('["\\ud83d\\ude00", "\\\\u0000"]'))).toEqual(['😀', '\\u0000']);
  });
});
