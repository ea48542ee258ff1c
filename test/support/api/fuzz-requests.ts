import fc from 'fast-check';

/** Text that often breaks parsers. The tests insert it into a path or query without encoding. */
const MALFORMED_URL_PARTS = [
  '%',
  '%zz',
  '%00',
  '%ff',
  '%c0%af',
  '%2e%2e%2f',
  '%27',
  `'`,
  '"',
  '%22',
  '*',
  ';',
  '$',
  '%0d%0a',
];

const FUZZ_TEXTS = [
  `' or 1=1 --`,
  `' or ExecutionStatus = 'Running`,
  `x' and WorkflowType = 'order`,
  '"',
  '`',
  '\\',
  '%',
  '../../..',
  '\u0000',
  '\ud800',
  '\u202e',
  'é',
  '🛒'.repeat(40),
  'x'.repeat(80),
  'x'.repeat(2_000),
  '__proto__',
  'constructor',
];

const FUZZ_JSON = [
  '',
  ' ',
  '{',
  '[]',
  'null',
  '"\\ud800"',
  '1e999',
  '{"a":1,"a":2}',
  '\ufeff{}',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":{"a":1}}}',
  '['.repeat(10_000),
  '[' + '9'.repeat(400) + ']',
  '{"a":-0.0}',
  '{"a":'.repeat(40) + '1' + '}'.repeat(40),
];

export const fuzzText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...FUZZ_TEXTS),
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.string({ maxLength: 100 }),
);

/** Generates path segments. Some contain the id of an existing resource. */
export const fuzzId = (there: string): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(there),
    // Excludes dot segments, because an HTTP client resolves them before it sends the path.
    fuzzText.map((text) => encodeURIComponent(text.toWellFormed())).filter((text) => !/^(\.|%2e)*$/i.test(text)),
    fc.constantFrom(...MALFORMED_URL_PARTS).map((part) => there + part),
  );

/** Generates query strings with the parameter names of the operation and with unknown names. */
export function fuzzQuery(names: readonly string[], there: string): fc.Arbitrary<string> {
  const value = fc.oneof(
    fc.constantFrom(there, '1', '50', 'completed', 'pending', 'restock'),
    fuzzText.map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom(...MALFORMED_URL_PARTS),
  );
  const known = names.length ? fc.constantFrom(...names) : fc.constantFrom('limit', '__proto__');
  const name = fc.oneof(
    { arbitrary: known, weight: 9 },
    { arbitrary: fc.constantFrom('x', '__proto__', ''), weight: 1 },
  );
  return fc
    .array(fc.tuple(name, value), { maxLength: 3 })
    .map((pairs) => (pairs.length ? `?${pairs.map((pair) => pair.join('=')).join('&')}` : ''));
}

/** Generates text that is valid in a header. */
export const fuzzHeader: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom('', 'again', 'application/json', 'text/plain', 'application/json; charset=utf-16', 'x'.repeat(300)),
  fc
    .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 40 })
    .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x7f))),
);

/** Generates bodies of a content type: arbitrary bodies, and the example with one mutation. */
export function fuzzBody(type: string, example: unknown): fc.Arbitrary<string> {
  if (type.endsWith('urlencoded')) return fc.oneof(fuzzText, fuzzForm(example));
  if (typeof example === 'string') return fc.oneof(fuzzText, fuzzPlainText(example));
  return fc.oneof(fc.constantFrom(...FUZZ_JSON), fc.json({ maxDepth: 5 }), {
    arbitrary: mutateExample(example).map((body) => JSON.stringify(body) ?? ''),
    weight: 4,
  });
}

const fuzzForm = (example: unknown): fc.Arbitrary<string> =>
  mutateExample(example).map((body) => {
    const fields = Object.entries(Object(body) as Record<string, unknown>);
    return fields
      .map((field) => field.map((part) => encodeURIComponent(String(part).toWellFormed())).join('='))
      .join('&');
  });

/** Replaces one part of the example. */
const fuzzPlainText = (example: string): fc.Arbitrary<string> =>
  fc
    .tuple(fc.nat(example.length), fc.nat(8), fc.oneof(fuzzText, fc.constantFrom(...FUZZ_JSON)))
    .map(([at, length, text]) => example.slice(0, at) + text + example.slice(at + length));

const fuzzValue = fc.oneof(
  fuzzText,
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(0, -1, 1.5, 1e21, 2 ** 53, Number.MAX_VALUE, '', [], {}, null, true),
);

/** Mutates one value of the example: changes it, removes it, or adds an unknown field to it. */
function mutateExample(example: unknown): fc.Arbitrary<unknown> {
  const places = pathsIn(example);
  const change = fc.oneof(
    fuzzValue.map((value) => () => value),
    fc.constant(() => undefined),
    fc.tuple(fc.constantFrom('x', '__proto__', 'constructor', ''), fuzzValue).map(
      ([name, value]) =>
        (old: unknown) =>
          // A computed name defines an own property, even if the name is `__proto__`.
          ({ ...Object(old), [name]: value }) as unknown,
    ),
  );
  return fc.tuple(fc.constantFrom(...places), change).map(([place, change]) => changeAt(example, place, change));
}

type ValuePath = readonly string[];

function pathsIn(value: unknown, at: ValuePath = []): ValuePath[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, inner]) => pathsIn(inner, [...at, name]))];
}

function changeAt(value: unknown, [name, ...rest]: ValuePath, change: (old: unknown) => unknown): unknown {
  if (name === undefined) return change(value);
  if (Array.isArray(value)) {
    return value.map((inner: unknown, index) => (String(index) === name ? changeAt(inner, rest, change) : inner));
  }
  const object = value as Record<string, unknown>;
  return { ...object, [name]: changeAt(object[name], rest, change) };
}
