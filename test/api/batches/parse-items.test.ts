import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import { parseJson } from '../../../src/api/http/json/lossless-json.js';
import { parseItems, type ItemFormat, type ParseItemsOptions } from '../../../src/api/batches/upload/parse-items.js';
import type { StagedItem } from '../../../src/store/batches/staging.js';

const BUFFER_BYTES = 16_384;
const MB = 2 ** 20;
const formats: ItemFormat[] = ['ndjson', 'csv'];

const ndjsonOptions: ParseItemsOptions = {
  format: 'ndjson',
  schema: z.strictObject({ sku: z.string().regex(/^[A-Z]/), quantity: z.int().default(1) }),
  itemsPerChunk: 1_000,
  maxBytes: 100 * MB,
  maxLineLength: 1_000,
};
const csvOptions: ParseItemsOptions = { ...ndjsonOptions, format: 'csv' };
const noteOptions: ParseItemsOptions = {
  ...ndjsonOptions,
  schema: z.strictObject({ note: z.string().optional(), tag: z.string() }),
};

const bodyOf = (...chunks: (string | Uint8Array)[]) => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

/** Creates a body of the text `first` and then repeated chunks. `bytes` counts the chunk bytes that were read. */
function createRepeatingBody(chunk: string, { first = '', bytes = Infinity } = {}) {
  const buffer = Buffer.from(chunk);
  const body = new Readable({
    read() {
      this.push(source.bytes < bytes ? buffer : null);
      source.bytes += buffer.length;
    },
  });
  if (first) body.push(first);
  const source = { body, bytes: 0 };
  return source;
}

async function readChunks(body: Readable, options: ParseItemsOptions): Promise<StagedItem[][]> {
  const lists: StagedItem[][] = [];
  for await (const list of parseItems(body, options)) lists.push(list);
  return lists;
}

const readItems = async (text: string, options: ParseItemsOptions) => (await readChunks(bodyOf(text), options)).flat();

/** Returns the problem with which an upload is rejected. */
async function rejectionOf(upload: Promise<unknown>) {
  const problem = await upload.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(problem instanceof HttpProblem)) throw new Error('the upload was not rejected', { cause: problem });
  const { status, kind, options } = problem;
  return { status, kind, ...options, errors: (options.extensions?.errors ?? []) as unknown[] };
}

const errorsOf = async (text: string, options: ParseItemsOptions) =>
  (await rejectionOf(readItems(text, options))).errors;

/** Splits the bytes of a text at the given places, which may lie within a character. */
const splitBytes = (text: string, places: number[]): Buffer[] => {
  const bytes = Buffer.from(text);
  const borders = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return borders.slice(1).map((end, index) => bytes.subarray(borders[index], end));
};
const splitPositions = fc.array(fc.nat(), { maxLength: 20 });
const anyLineEnding = fc.constantFrom('\n', '\r\n');
const anyNote = fc.string({ unit: fc.constantFrom('a', 'é', '好', '🙂', '"', ',', '\n', '\r\n', ' ') });

describe('chunks of items', () => {
  test.each<[ItemFormat, string, number]>([
    ['ndjson', '{"sku":"A"}\n{"sku":"B"}\n{"sku":"C"}\n{"sku":"D"}\n{"sku":"E"}\n', 1],
    ['csv', 'sku\nA\nB\nC\nD\nE\n', 2],
  ])('every chunk of items is full except the last (%s)', async (format, text, first) => {
    const lists = await readChunks(bodyOf(text), { ...ndjsonOptions, format, itemsPerChunk: 2 });

    expect(lists).toEqual([
      [
        { line: first, item: { sku: 'A', quantity: 1 } },
        { line: first + 1, item: { sku: 'B', quantity: 1 } },
      ],
      [
        { line: first + 2, item: { sku: 'C', quantity: 1 } },
        { line: first + 3, item: { sku: 'D', quantity: 1 } },
      ],
      [{ line: first + 4, item: { sku: 'E', quantity: 1 } }],
    ]);
  });

  test('adds no empty chunk when the last chunk is full', async () => {
    const lists = await readChunks(bodyOf('{"sku":"A"}\n{"sku":"B"}'), { ...ndjsonOptions, itemsPerChunk: 1 });
    expect(lists.map(({ length }) => length)).toEqual([1, 1]);
  });

  test.each<[string, ItemFormat, string]>([
    ['no text', 'ndjson', ''],
    ['no text', 'csv', ''],
    ['a byte order mark', 'ndjson', '\uFEFF'],
    ['blank lines', 'ndjson', '\n  \r\n\n'],
    ['blank lines', 'csv', '\n  \r\n\n'],
    ['a header', 'csv', 'sku,quantity\n'],
  ])('rejects an upload without items (%s, %s)', async (_description, format, text) => {
    expect(await rejectionOf(readItems(text, { ...ndjsonOptions, format }))).toMatchObject({
      status: 422,
      kind: 'invalid-items',
      errors: [{ line: 1, pointer: '', detail: 'the upload contains no items' }],
    });
  });
});

describe('invalid lines', () => {
  test('reports each problem of an upload with its line number', async () => {
    const text = '{"sku":"A"}\n{"sku":"b","more":1}\n\n[]\n{"sku":"C"}\n{"sku":\n';

    const rejection = await rejectionOf(readItems(text, ndjsonOptions));

    expect(rejection).toMatchObject({
      status: 422,
      kind: 'invalid-items',
      detail: '3 lines are invalid; nothing was stored',
    });
    expect(rejection.errors).toEqual([
      { line: 2, pointer: '/sku', detail: expect.any(String) },
      { line: 2, pointer: '/more', detail: 'is not a known field' },
      { line: 4, pointer: '', detail: expect.any(String) },
      { line: 6, pointer: '', detail: expect.stringMatching(/^is not JSON: ./) },
    ]);
  });

  test('the detail of the rejection says "1 line is invalid" for a single invalid line', async () => {
    expect((await rejectionOf(readItems('{}', ndjsonOptions))).detail).toBe('1 line is invalid; nothing was stored');
  });

  test('after an invalid line, emits no further chunks but reads the body to its end', async () => {
    const body = bodyOf('{"sku":"A"}\n{"sku":"B"}\n{}\n', '{"sku":"C"}\n{"sku":"D"}\n', '{}\n');
    const lists: unknown[] = [];

    const upload = async () => {
      for await (const list of parseItems(body, { ...ndjsonOptions, itemsPerChunk: 1 })) lists.push(list[0]!.line);
    };

    expect((await rejectionOf(upload())).errors).toMatchObject([{ line: 3 }, { line: 6 }]);
    expect(lists).toEqual([1, 2]);
    expect(body.readableEnded).toBe(true);
  });

  test('reports only the first 100 problems of an upload', async () => {
    const rejection = await rejectionOf(readChunks(bodyOf('{"sku":1,"x":1,"y":1}\n'.repeat(1_234)), ndjsonOptions));

    expect(rejection.detail).toBe('at least 34 lines are invalid; nothing was stored');
    expect(rejection.errors).toHaveLength(100);
    expect(rejection.errors.at(-1)).toMatchObject({ line: 34, pointer: '/sku' });
  });

  test('limits the detail for a line that is not JSON to 200 characters', async () => {
    const [error] = (await errorsOf(`{"sku":"${'x'.repeat(900)}`, ndjsonOptions)) as { detail: string }[];
    expect(error!.detail.length).toBeLessThanOrEqual(200);
  });

  test.each<[string, ItemFormat, string, string]>([
    ['__proto__', 'ndjson', '{"sku":"A","__proto__":{"polluted":1}}', '/__proto__'],
    ['an escaped __proto__', 'ndjson', '{"sku":"A","\\u005f_proto__":{"polluted":1}}', '/__proto__'],
    ['constructor', 'ndjson', '{"sku":"A","constructor":{"prototype":{"polluted":1}}}', '/constructor'],
    ['__proto__', 'csv', 'sku,__proto__\nA,1\n', '/__proto__'],
    ['__proto__.polluted', 'csv', 'sku,__proto__.polluted\nA,1\n', '/__proto__/polluted'],
    ['constructor.prototype', 'csv', 'sku,constructor.prototype\nA,1\n', '/constructor/prototype'],
    ['a field of a string field', 'csv', 'sku,sku.length\nA,1\n', '/sku/length'],
  ])('rejects the field name %s in %s as an unknown field', async (_name, format, text, pointer) => {
    expect(await errorsOf(text, { ...ndjsonOptions, format })).toEqual([
      { line: 1, pointer, detail: 'is not a known field' },
    ]);
    expect('polluted' in {}).toBe(false);
  });

  test.each([
    ['semicolon', 'sku;quantity\nA;1\n', undefined, '/sku;quantity'],
    ['tab', 'sku\tquantity\nA\t1\n', ';', '/sku\tquantity'],
  ])('names the separator %s of a file that is read with another separator', async (name, text, delimiter, pointer) => {
    expect(await errorsOf(text, { ...csvOptions, delimiter })).toEqual([
      { line: 1, pointer, detail: `is not a known field: the separator of this file seems to be ${name}` },
    ]);
  });

  test('describes invalid items with the texts of the caller', async () => {
    const problemTexts = ({ path = [] }: { path?: PropertyKey[] | undefined }) => `Enter the ${path.join('.')}`;
    expect(await errorsOf('sku,quantity\nA,1.5\n', { ...csvOptions, problemTexts })).toEqual([
      { line: 2, pointer: '/quantity', detail: 'Enter the quantity' },
    ]);
  });
});

describe('NDJSON', () => {
  test('NDJSON line numbers stay correct with blank lines, CRLF and a missing final line ending', async () => {
    expect(await readItems('\uFEFF{"sku":"A"}\r\n\r\n \t\n{"sku":"B"}\n\n{"sku":"C"}', ndjsonOptions)).toMatchObject([
      { line: 1, item: { sku: 'A' } },
      { line: 4, item: { sku: 'B' } },
      { line: 6, item: { sku: 'C' } },
    ]);
  });

  test('reads the same NDJSON items regardless of how the body is split', async () => {
    const anyLine = fc.tuple(fc.option(anyNote, { nil: undefined }), anyLineEnding);
    await fc.assert(
      fc.asyncProperty(fc.array(anyLine), splitPositions, async (lines, places) => {
        const text = lines.map(([tag, end]) => (tag === undefined ? end : JSON.stringify({ tag }) + end)).join('');
        const expected = lines.flatMap(([tag], index) =>
          tag === undefined ? [] : [{ line: index + 1, item: { tag } }],
        );

        const upload = readChunks(bodyOf(...splitBytes(`${text}{"tag":"last"}`, places)), {
          ...noteOptions,
          itemsPerChunk: 3,
        });

        expect((await upload).flat()).toEqual([...expected, { line: lines.length + 1, item: { tag: 'last' } }]);
      }),
    );
  });
});

describe('JSON that would silently lose data', () => {
  const one = { ...ndjsonOptions, schema: z.strictObject({ sku: z.string(), quantity: z.number().optional() }) };

  test.each([
    ['a repeated name', '{"sku":"A","sku":"B"}', '/sku', /more than once/],
    ['a repeated name with the same value', '{"sku":"A","sku":"A"}', '/sku', /more than once/],
    ['a number that is rounded', '{"sku":"A","quantity":0.99999999999999999999}', '/quantity', /would become 1;/],
    ['a number that is too large', '{"sku":"A","quantity":1e400}', '/quantity', /would become Infinity;/],
  ])(
    'rejects a line with %s and reports the problem once with its pointer',
    async (_description, text, pointer, detail) => {
      expect(await errorsOf(`{"sku":"A"}\n${text}\n`, one)).toEqual([
        { line: 2, pointer, detail: expect.stringMatching(detail) },
      ]);
    },
  );

  test('rejects a line whose JSON is nested deeper than 32 levels', async () => {
    const text = '['.repeat(33) + ']'.repeat(33);
    expect(await errorsOf(text, one)).toEqual([{ line: 1, pointer: '', detail: 'is nested deeper than 32 levels' }]);
  });

  test('reports a lossy number together with the other problems of the line', async () => {
    expect(await errorsOf('{"sku":7,"quantity":1e999,"more":1}', one)).toMatchObject([
      { pointer: '/quantity' },
      { pointer: '/sku' },
      { pointer: '/more' },
    ]);
  });
});

describe('parseJson', () => {
  const pointersIn = (text: string) => parseJson(text).losses.map(({ pointer }) => pointer);

  test('parseJson accepts all output of JSON.stringify and returns the value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        expect(parseJson(text)).toEqual({ value: JSON.parse(text) as unknown, losses: [] });
      }),
      { numRuns: 1_000 },
    );
  });

  test('parseJson reports exactly the numbers that a JavaScript number cannot represent', () => {
    const digits = fc.tuple(fc.bigInt(0n, 10n ** 25n), fc.nat(30), fc.integer({ min: -30, max: 30 }));
    fc.assert(
      fc.property(digits, ([value, places, exponent]) => {
        const padded = value.toString().padStart(places + 1, '0');
        const whole = padded.slice(0, padded.length - places);
        const literal = `${whole}${places ? `.${padded.slice(-places)}` : ''}e${exponent}`;
        // String() prints all digits of a number, so the comparison as BigInt is exact.
        const isSame = sameDecimal(literal, String(Number(literal)));
        expect(pointersIn(`{"a":[1,${literal}]}`)).toEqual(isSame ? [] : ['/a/1']);
      }),
      { numRuns: 2_000 },
    );
  });

  /** Compares two decimal numbers exactly, as scaled integers. */
  function sameDecimal(one: string, other: string): boolean {
    const toScaledInteger = (text: string) => {
      const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
      const [whole = '', fraction = ''] = mantissa.split('.');
      return BigInt(whole + fraction) * 10n ** BigInt(400 + Number(exponent) - fraction.length);
    };
    return toScaledInteger(one) === toScaledInteger(other);
  }

  test('parseJson finds every repeated name, even when strings contain JSON syntax', () => {
    const name = fc.constantFrom('a', 'b', '"', '\\', '\\"', ':', '{', '__proto__', '~/');
    const fields = fc.array(fc.tuple(name, fc.constantFrom(':', '{"a":1,"a":2}', '1e999', '\\', '"')), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(fields, (fields) => {
        const text = fields.map(([name, value]) => `${JSON.stringify(name)} : ${JSON.stringify(value)}`).join(',');
        const repeated = fields.length - new Set(fields.map(([name]) => name)).size;
        expect(pointersIn(`[{${text}}]`)).toHaveLength(repeated);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('CSV', () => {
  const price: ParseItemsOptions = {
    ...csvOptions,
    schema: z.strictObject({
      sku: z.string(),
      price: z.strictObject({ value: z.number(), currency: z.string() }).optional(),
    }),
  };

  test('reads a CSV column name with a dot as a nested field', async () => {
    expect(await readItems('\uFEFFprice.value,sku,price.currency\r\n1999,A,EUR\r\n-0.5,B,USD', price)).toEqual([
      { line: 2, item: { sku: 'A', price: { value: 1999, currency: 'EUR' } } },
      { line: 3, item: { sku: 'B', price: { value: -0.5, currency: 'USD' } } },
    ]);
  });

  test('treats empty CSV cells as missing fields', async () => {
    const text = 'sku,price.value,price.currency\nA,,\n"",1,EUR\nC,1,""\n';

    expect(await errorsOf(text, price)).toMatchObject([
      { line: 3, pointer: '/sku' },
      { line: 4, pointer: '/price/currency' },
    ]);
    expect(await readItems('sku,price.value,price.currency\nA,,', price)).toEqual([{ line: 2, item: { sku: 'A' } }]);
  });

  test.each([
    ['a number', z.number()],
    ['an integer', z.int()],
    ['optional', z.number().optional()],
    ['nullable', z.number().nullable()],
    ['a number with a default', z.number().default(7)],
    ['a number with several of these wrappers', z.number().nullable().optional().default(7).readonly()],
    ['a transformed number', z.number().transform((value) => value)],
  ])('converts CSV text to a number when the field is %s', async (_description, field) => {
    const options = { ...csvOptions, schema: z.strictObject({ field, text: z.string() }) };
    expect(await readItems('field,text\n42,42\n', options)).toEqual([{ line: 2, item: { field: 42, text: '42' } }]);
  });

  test.each([
    ['semicolon', ';'],
    ['tab', '\t'],
  ])('reads CSV records with a %s as the delimiter', async (_name, delimiter) => {
    const options = { ...price, delimiter };
    const lines = ['price.value|sku|price.currency', '1999|"A|1"|EUR', '"20"|B,C|USD', '|D|'];
    const text = `${lines.join('\r\n').replaceAll('|', delimiter)}\r\n\r\n`;

    expect(await readItems(text, options)).toEqual([
      { line: 2, item: { sku: `A${delimiter}1`, price: { value: 1999, currency: 'EUR' } } },
      { line: 3, item: { sku: 'B,C', price: { value: 20, currency: 'USD' } } },
      { line: 4, item: { sku: 'D' } },
    ]);
    expect(await errorsOf(`sku\nA${delimiter}B\n`, options)).toEqual([
      { line: 2, pointer: '', detail: 'must have as many columns as the header: 1, not 2' },
    ]);
  });

  test('does not treat a CSV record of empty tab-separated values as a blank line', async () => {
    const options = { ...price, delimiter: '\t' };
    expect(await errorsOf('price.value\tsku\tprice.currency\n\t\t\n', options)).toMatchObject([
      { line: 2, pointer: '/sku' },
    ]);
  });

  test('rejects a decimal comma in a CSV record with semicolons', async () => {
    const text = 'price.value;sku;price.currency\n19,99;A;EUR\n';
    expect(await errorsOf(text, { ...price, delimiter: ';' })).toEqual([
      { line: 2, pointer: '/price/value', detail: expect.stringContaining('not "19,99"') },
    ]);
  });

  test.each(['x', '1E+02', '0x10', '+1', ' 1', '1 ', '.5', '5.', 'NaN', 'Infinity', '"1,000"'])(
    'rejects the CSV number %s with the reason and an example',
    async (value) => {
      const text = value.replaceAll('"', '');
      expect(await errorsOf(`sku,quantity\nA,${value}\n`, csvOptions)).toEqual([
        {
          line: 2,
          pointer: '/quantity',
          detail: `must be a number in plain digits, as in 1000 or 12.5, not "${text}"`,
        },
      ]);
    },
  );

  test.each([
    ['0.99999999999999999999', '0.99999999999999999999 would become 1'],
    ['9007199254740993', '9007199254740993 would become 9007199254740992'],
    ['9'.repeat(400), `${'9'.repeat(40)}… would become Infinity`],
  ])('rejects the CSV number %s because it would lose precision', async (value, becomes) => {
    expect(await errorsOf(`price.value,sku,price.currency\n${value},A,EUR\n`, price)).toEqual([
      {
        line: 2,
        pointer: '/price/value',
        detail: `cannot be stored exactly: ${becomes}; send at most 15 digits, as in 12.5`,
      },
    ]);
  });

  test('the line number of a CSV item is its first line, even with blank lines and line feeds in values', async () => {
    const text = 'note,tag\r\n\r\n"two\r\nlines ""quoted""","a,b"\n\n"",c\nd,"\n\n"\n"e",f';

    expect(await readItems(text, { ...noteOptions, format: 'csv' })).toEqual([
      { line: 3, item: { note: 'two\r\nlines "quoted"', tag: 'a,b' } },
      { line: 6, item: { tag: 'c' } },
      { line: 7, item: { note: 'd', tag: '\n\n' } },
      { line: 10, item: { note: 'e', tag: 'f' } },
    ]);
  });

  test.each<[string, string, string, RegExp]>([
    ['has a column twice', 'sku,sku', '/sku', /more than one column/],
    ['has a column without a name', 'sku,', '', /no name for column 2/],
    ['is empty', '""', '', /no name for column 1/],
    ['has an unknown column', 'sku,a~b/c', '/a~0b~1c', /not a known field/],
    ['names a parent field', 'sku,price', '/price', /one column for each of its fields/],
    ['has a misplaced quote', 'sku"', '', /has a quote within a value/],
  ])('reports only the CSV header when the header %s', async (_description, header, pointer, detail) => {
    const body = bodyOf(`${header}\nA\n`, 'A,1\n', 'A\n');

    expect((await rejectionOf(readChunks(body, price))).errors).toEqual([
      { line: 1, pointer, detail: expect.stringMatching(detail) },
    ]);
    expect(body.readableEnded).toBe(true);
  });

  test('reports each CSV record that has more or fewer columns than the header', async () => {
    expect(await errorsOf('sku,quantity\nA\nB,1\n"C,1",1,"1,1"\nd,1\nE,1', csvOptions)).toEqual([
      { line: 2, pointer: '', detail: 'must have as many columns as the header: 2, not 1' },
      { line: 4, pointer: '', detail: 'must have as many columns as the header: 2, not 3' },
      { line: 5, pointer: '/sku', detail: expect.any(String) },
    ]);
  });

  test.each([
    ['within a value', 'C"C,1', /^has a quote within a value/],
    ['before the end of a value', '"C"C,1', /^has text after the closing quote/],
  ])('reports an invalid CSV quote %s and skips the rest of the upload', async (_where, record, detail) => {
    const body = bodyOf(`sku,quantity\nA,1\nb,1\n${record}\nd,1\n`, 'e,1\n'.repeat(10));

    expect((await rejectionOf(readChunks(body, { ...csvOptions, maxLineLength: 20 }))).errors).toEqual([
      { line: 3, pointer: '/sku', detail: expect.any(String) },
      { line: 4, pointer: '', detail: expect.stringMatching(detail) },
    ]);
    expect(body.readableEnded).toBe(true);
  });

  test('reports the line of a CSV quote that is never closed', async () => {
    expect(await errorsOf('sku,quantity\nA,1\n"B,1\nC,1\n', csvOptions)).toEqual([
      { line: 3, pointer: '', detail: 'has a quote that is not closed; the rest of the upload was not read' },
    ]);
  });

  test('reads the same CSV items regardless of how the body is split', async () => {
    const anyRecord = fc.record({ note: anyNote, tag: anyNote, end: anyLineEnding, blank: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(anyRecord, { minLength: 1 }), splitPositions, async (records, places) => {
        let text = 'note,tag\n';
        const expected: unknown[] = [];
        for (const { note, tag, end, blank } of records) {
          if (blank) text += end;
          const item = { ...(note && { note }), tag: `x${tag}` };
          expected.push({ line: text.split('\n').length, item });
          text += `"${note.replaceAll('"', '""')}","x${tag.replaceAll('"', '""')}"${end}`;
        }

        const upload = readChunks(bodyOf(...splitBytes(text, places)), {
          ...noteOptions,
          format: 'csv',
          itemsPerChunk: 3,
        });

        expect((await upload).flat()).toEqual(expected);
      }),
    );
  });

  test('reads any text like the library csv-parse', async () => {
    const anyText = fc.string({ unit: fc.constantFrom('a', '"', '"', ',', '\n', '\n', '\r\n'), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(anyText, splitPositions, async (text, places) => {
        const upload = readChunks(bodyOf(...splitBytes(`note,tag\n${text}`, places)), {
          ...noteOptions,
          format: 'csv',
        });
        let rows: string[][];
        try {
          rows = parse(text, { record_delimiter: ['\r\n', '\n'], skip_empty_lines: true, relax_column_count: true });
        } catch {
          await expect(rejectionOf(upload)).resolves.toMatchObject({ status: 422 });
          return;
        }
        if (rows.length === 0 || rows.some(([, tag, ...more]) => !tag || more.length > 0)) {
          await expect(rejectionOf(upload)).resolves.toMatchObject({ status: 422 });
          return;
        }
        const items = rows.map(([note, tag]) => ({ ...(note && { note }), tag }));
        expect((await upload).flat().map(({ item }) => item)).toEqual(items);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('size limits', () => {
  test('accepts an upload body of exactly the maximum size and rejects a longer body', async () => {
    const text = '{"sku":"Ä"}\n';
    const options = {
      ...ndjsonOptions,
      schema: z.strictObject({ sku: z.string() }),
      maxBytes: Buffer.byteLength(text),
    };

    expect(await readItems(text, options)).toHaveLength(1);
    expect(await rejectionOf(readItems(`${text}\n`, options))).toMatchObject({
      status: 413,
      kind: 'too-large',
      detail: 'the body has more than 13 bytes',
    });
  });

  test.each(formats)('stops reading a body of %s at the maximum size', async (format) => {
    const upload = createRepeatingBody('\n'.repeat(BUFFER_BYTES));

    const rejection = await rejectionOf(readChunks(upload.body, { ...ndjsonOptions, format, maxBytes: MB }));

    expect(rejection).toMatchObject({ status: 413, detail: `the body has more than ${MB} bytes` });
    expect(upload.bytes).toBeLessThan(MB + 10 * BUFFER_BYTES);
  });

  test.each<[ItemFormat, string, string]>([
    ['ndjson', '\n{"tag":"x"}\n', '{"tag":"…"}'],
    ['csv', 'tag\nx\n', '"…\n"'],
  ])('accepts a line of %s with the maximum length and rejects a longer line', async (format, before, line) => {
    const options = { ...noteOptions, format, maxLineLength: 50 };
    const longest = line.replace('…', '好'.repeat(50 - line.length + 1));
    const longer = line.replace('…', '好'.repeat(50 - line.length + 2));

    for (const end of ['\n', '\r\n', '']) {
      for (const places of [[], [1, 20, 150], Array.from({ length: 300 }, (_, place) => place)]) {
        expect((await readChunks(bodyOf(...splitBytes(before + longest + end, places)), options)).flat()).not.toEqual(
          [],
        );
        expect(
          await rejectionOf(readChunks(bodyOf(...splitBytes(before + longer + end, places)), options)),
        ).toMatchObject({
          status: 413,
          kind: 'too-large',
          detail: expect.stringMatching(/line 3 has more than 50 characters/),
        });
      }
    }
  });

  test.each<[string, ItemFormat, string, string]>([
    ['a line', 'ndjson', '{"sku":"A"}\n', 'x'],
    ['a header', 'csv', '\n', 'x'],
    ['a record without quotes', 'csv', 'sku\n', 'x'],
    ['a record of only delimiters', 'csv', 'sku\n', ','],
    ['a record of only quotes', 'csv', 'sku\n', '"'],
    ['a value in quotes', 'csv', 'sku\n"', 'x\n'],
  ])('stops reading at the maximum length when %s never ends', async (_description, format, before, endless) => {
    const upload = createRepeatingBody(endless.repeat(BUFFER_BYTES / endless.length), { first: before });
    const options = { ...ndjsonOptions, format, maxLineLength: 4 * BUFFER_BYTES, maxBytes: 1_000 * MB };

    const rejection = await rejectionOf(readChunks(upload.body, options));

    expect(rejection).toMatchObject({
      status: 413,
      detail: expect.stringContaining(`more than ${4 * BUFFER_BYTES} characters`),
    });
    expect(rejection.detail).toContain('line 2');
    expect(upload.bytes).toBeLessThan(20 * BUFFER_BYTES);
  });

  test.each<[string, number[]]>([
    ['has a byte that UTF-8 does not allow', [0x22, 0xff, 0x22]],
    ['has an overlong encoding', [0xc0, 0xaf]],
    ['has half of a surrogate pair', [0xed, 0xa0, 0x80]],
    ['is Latin-1', [...Buffer.from('{"sku":"Ä"}', 'latin1')]],
    ['ends within a character', [0x0a, 0xe2, 0x82]],
  ])('rejects a body that %s, because it is not UTF-8', async (_description, bytes) => {
    const chunks = bytes.map((byte) => Uint8Array.of(byte));

    for (const format of formats) {
      expect(await rejectionOf(readChunks(bodyOf('sku\nA\n', ...chunks), { ...ndjsonOptions, format }))).toMatchObject({
        status: 400,
        kind: 'malformed-request',
        detail: 'the body is not UTF-8',
      });
    }
  });
});

describe('the request body', () => {
  const line = '{"sku":"A"}\n';

  test('reads only as much of the body as fits into the buffers while no chunk is consumed', async () => {
    const upload = createRepeatingBody(line.repeat(1_000), { bytes: 50 * MB });
    const lists = parseItems(upload.body, ndjsonOptions);
    for (let turns = 0; turns < 100; turns += 1) await turn();
    expect(upload.bytes).toBe(0);

    await lists.next();
    for (let turns = 0; turns < 100; turns += 1) await turn();

    expect(upload.bytes).toBeLessThan(MB);
    await lists.return(undefined);
  });

  test.each<[string, (body: Readable) => void, RegExp]>([
    ['is destroyed', (body) => body.destroy(), /premature close/i],
    ['fails', (body) => body.destroy(new Error('ECONNRESET')), /ECONNRESET/],
  ])('parseItems fails when the body %s before its end', async (_description, breakOff, error) => {
    for (const before of [0, 1, 2]) {
      const body = new Readable({ read: () => undefined });
      body.on('error', () => undefined);
      body.push(line);
      const lists = parseItems(body, { ...ndjsonOptions, itemsPerChunk: 1 });
      if (before === 0) breakOff(body);
      if (before === 1) await lists.next();
      const next = before === 2 ? lists.next().then(() => lists.next()) : lists.next();
      if (before > 0) breakOff(body);

      await expect(next).rejects.toThrow(error);
      expect(await lists.next()).toEqual({ done: true, value: undefined });
    }
  });

  test('does not destroy the body when the consumer stops early', async () => {
    const { body } = createRepeatingBody(line.repeat(1_000), { bytes: MB });
    const listeners = () => body.eventNames().map((name) => [name, body.listenerCount(name)]);
    const before = listeners();

    for await (const list of parseItems(body, { ...ndjsonOptions, itemsPerChunk: 1 })) {
      expect(list).toHaveLength(1);
      break;
    }

    expect(body.destroyed).toBe(false);
    expect(listeners()).toEqual(before);
  });

  describe('uploads over HTTP', () => {
    let server: Server | undefined;
    afterEach(() => {
      server?.closeAllConnections();
      server?.close();
    });

    /** Starts an upload and leaves it unfinished. */
    async function startUpload() {
      server = createServer();
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      const client = request({ port, method: 'POST' });
      client.on('error', () => undefined);
      client.write(line.repeat(100));
      const [incoming, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
      return { client, incoming, response };
    }

    test('a client receives the response when its unfinished upload is rejected', async () => {
      const { client, incoming, response } = await startUpload();

      const { status } = await rejectionOf(readChunks(incoming, { ...ndjsonOptions, maxBytes: 1 }));
      response.writeHead(status, { connection: 'close' }).end();

      expect(await once(client, 'response')).toMatchObject([{ statusCode: 413 }]);
    });

    test('parseItems fails when the client disconnects', async () => {
      const { client, incoming } = await startUpload();
      const lists = readChunks(incoming, ndjsonOptions);

      client.destroy();

      await expect(lists).rejects.toMatchObject({ code: 'ECONNRESET' });
    });
  });
});
