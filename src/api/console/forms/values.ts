import type { z } from 'zod';
import type { InputProblem } from '../../../schemas/shared/input-problems.js';
import { formatAmount, parseAmount, type Money } from '../../../schemas/shared/money.js';
import { inputAt, type Field } from './fields.js';
import { enterInput, enterNumber, parseInputs } from './problems.js';

/** The texts of the inputs of a form, by JSON pointer: `/lines/0/sku`. */
export type FormValues = Readonly<Record<string, string>>;

type Fields<Kind extends Field['kind']> = Extract<Field, { kind: Kind }>;

/** Names of inputs that are not part of the value start with this character. */
const CONTROL_PREFIX = '_';

/** Reads the inputs of a submitted form. The last of several inputs with the same name counts. */
export function readFormValues(body: unknown): FormValues {
  const entries = Object.entries((body ?? {}) as Record<string, unknown>).map(([name, value]): [string, string] => [
    name,
    String(Array.isArray(value) ? value.at(-1) : value),
  ]);
  // Browsers send line breaks as CRLF.
  return Object.fromEntries(entries.map(([name, text]) => [name, text.replaceAll('\r\n', '\n')]));
}

/** Returns the inputs that show a value. */
export function toFormValues(field: Field, value: unknown, pointer = ''): FormValues {
  if (value === undefined) return {};
  switch (field.kind) {
    case 'group':
      return merge(
        field.fields.map((inner) =>
          toFormValues(inner, (value as Record<string, unknown>)[inner.name], `${pointer}/${inner.name}`),
        ),
      );
    case 'list':
      return merge((value as unknown[]).map((item, index) => toFormValues(field.item, item, `${pointer}/${index}`)));
    case 'money': {
      const money = value as Money;
      return { [`${pointer}/value`]: formatAmount(money), [`${pointer}/currency`]: money.currency };
    }
    default:
      return { [pointer]: typeof value === 'string' ? value : JSON.stringify(value) };
  }
}

/** The numbers of the rows of a list, in order. */
export function rowsOf(pointer: string, values: FormValues): number[] {
  const prefix = `${pointer}/`;
  const numbers = Object.keys(values).flatMap((name) => {
    const [, number] = name.startsWith(prefix) ? (/^(\d{1,4})(?:\/|$)/.exec(name.slice(prefix.length)) ?? []) : [];
    return number === undefined ? [] : [Number(number)];
  });
  return [...new Set(numbers)].sort((one, other) => one - other);
}

/**
 * Removes the empty rows of all lists and numbers the other rows from 0, as in the value that the form sends. Keeps
 * inputs that do not belong to a field, so that `parseForm` reports them.
 */
export function withoutEmptyRows(field: Field, values: FormValues): FormValues {
  const patterns = new Set(namePatternsOf(field, ''));
  const others = Object.entries(values).filter(([name]) => !patterns.has(name.replaceAll(/\/\d{1,4}(?=\/|$)/g, '/*')));
  return { ...Object.fromEntries(others), ...compactRows(field, values, { from: '', to: '' }) };
}

/** The names of the inputs of a field, with `*` for the number of a row. */
function namePatternsOf(field: Field, pointer: string): string[] {
  switch (field.kind) {
    case 'group':
      return field.fields.flatMap((inner) => namePatternsOf(inner, `${pointer}/${inner.name}`));
    case 'list':
      return namePatternsOf(field.item, `${pointer}/*`);
    case 'money':
      return [`${pointer}/value`, `${pointer}/currency`];
    default:
      return [pointer];
  }
}

function compactRows(field: Field, values: FormValues, { from, to }: { from: string; to: string }): FormValues {
  const compact = (inner: Field, from: string, to: string) => compactRows(inner, values, { from, to });
  switch (field.kind) {
    case 'group':
      return merge(field.fields.map((inner) => compact(inner, `${from}/${inner.name}`, `${to}/${inner.name}`)));
    case 'list':
      return merge(
        rowsOf(from, values)
          .filter((row) => !isBlank(field.item, values, `${from}/${row}`))
          .map((row, index) => compact(field.item, `${from}/${row}`, `${to}/${index}`)),
      );
    case 'money':
      return merge([copy(values, `${from}/value`, `${to}/value`), copy(values, `${from}/currency`, `${to}/currency`)]);
    default:
      return copy(values, from, to);
  }
}

const merge = (parts: FormValues[]): FormValues => Object.fromEntries(parts.flatMap(Object.entries<string>));

const copy = (values: FormValues, from: string, to: string): FormValues =>
  values[from] === undefined ? {} : { [to]: values[from] };

/** Whether the user has entered nothing into a field. The currency of an amount has always a value. */
function isBlank(field: Field, values: FormValues, pointer: string): boolean {
  switch (field.kind) {
    case 'group':
      return field.fields.every((inner) => isBlank(inner, values, `${pointer}/${inner.name}`));
    case 'list':
      return rowsOf(pointer, values).every((row) => isBlank(field.item, values, `${pointer}/${row}`));
    case 'money':
      return (values[`${pointer}/value`] ?? '') === '';
    default:
      return (values[pointer] ?? '') === '';
  }
}

/** The number of a text that is a whole number of at most 15 digits. */
export const parseInteger = (text: string): number | undefined =>
  /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;

export type ParsedForm<Data> = {
  /** The value as JSON. It contains invalid texts unchanged. */
  json: unknown;
} & ({ data: Data; problems?: undefined } | { data?: undefined; problems: InputProblem[] });

/**
 * Builds the value of a form and parses it with the schema of the API. The problems name the inputs by their pointers.
 *
 * @param values without empty rows.
 */
export function parseForm<Schema extends z.ZodType>(
  schema: Schema,
  field: Field,
  values: FormValues,
): ParsedForm<z.infer<Schema>> {
  const problems: InputProblem[] = [];
  const known = new Set<string>();
  const json = build(field, '');
  const unknown = Object.keys(values).filter((name) => !known.has(name) && !name.startsWith(CONTROL_PREFIX));
  problems.push(...unknown.map((pointer) => ({ pointer, detail: 'is not a known field' })));
  const parsed = parseInputs(schema, json, (path) => inputAt(field, path));
  if (!parsed.problems && problems.length === 0) return { json, data: parsed.data };
  const isReported = (pointer: string) =>
    problems.some((problem) => pointer === problem.pointer || pointer.startsWith(`${problem.pointer}/`));
  const others = (parsed.problems ?? []).filter(({ pointer }) => !isReported(pointer));
  return { json, problems: [...problems, ...others] };

  function read(pointer: string): string {
    known.add(pointer);
    return values[pointer] ?? '';
  }

  function build(field: Field, pointer: string): unknown {
    const { isRequired, kind } = field;
    switch (kind) {
      case 'group': {
        const entries = field.fields.map((inner) => [inner.name, build(inner, `${pointer}/${inner.name}`)] as const);
        const isOmitted = !isRequired && isBlank(field, values, pointer);
        return isOmitted ? undefined : Object.fromEntries(entries.filter(([, value]) => value !== undefined));
      }
      case 'list': {
        const items = rowsOf(pointer, values).map((row) => build(field.item, `${pointer}/${row}`));
        return items.length === 0 && !isRequired ? undefined : items;
      }
      case 'money':
        return buildMoney(field, pointer);
      default: {
        const text = read(pointer);
        if (text !== '') return kind === 'integer' ? toInteger(field, text, pointer) : text;
        if (isRequired) problems.push({ pointer, detail: enterInput(field) });
        return undefined;
      }
    }
  }

  function toInteger(field: Fields<'integer'>, text: string, pointer: string): number | string {
    const value = parseInteger(text);
    if (value === undefined) problems.push({ pointer, detail: enterNumber(field) });
    return value ?? text;
  }

  function buildMoney(field: Fields<'money'>, pointer: string): unknown {
    const [text, currency] = [read(`${pointer}/value`), read(`${pointer}/currency`)];
    if (text === '') {
      if (field.isRequired) problems.push({ pointer: `${pointer}/value`, detail: enterInput(field) });
      return undefined;
    }
    const value = parseAmount(text, currency);
    if (value === undefined) {
      // The example has the decimals of the currency.
      const example = formatAmount({ value: 1_999, currency });
      problems.push({ pointer: `${pointer}/value`, detail: `Enter an amount such as ${example}` });
    }
    return { value: value ?? text, currency };
  }
}
