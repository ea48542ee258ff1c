import { z } from 'zod';
import type { InputProblem } from '../../schemas/shared/input-problems.js';
import { invalidRequest } from '../problems/http-problem.js';
import { enterNumber, parseInputs } from './forms/problems.js';
import { parseInteger } from './forms/values.js';

/** A field of the filter of a list. */
export interface FilterField {
  label: string;
  /** The values to choose from, or their texts by value. Without it, the field is typed. */
  options?: readonly string[] | Readonly<Record<string, string>>;
  /** A `day` is the start of a day in UTC. */
  kind?: 'text' | 'search' | 'day';
  hint?: string;
  placeholder?: string;
  /** The text of the option that does not filter. `Any` by default. */
  anyText?: string;
}

export type FilterFields = Readonly<Record<string, FilterField>>;

/** A filter as the query string contains it. */
export interface ListFilter<Query> {
  /** The non-empty fields as they were typed, with the page of the list. */
  typed: Readonly<Record<string, string>>;
  /** Undefined if a field is invalid. */
  query: Query | undefined;
  problems: readonly InputProblem[];
}

/** The fields that belong to the page of a list, and not to its filter. */
export const PAGE_FIELDS: FilterFields = { limit: { label: 'Page size' }, cursor: { label: 'Page' } };

/**
 * Returns the function that parses the filter of a list from its query string, with the schema of the API. Empty fields
 * and unknown fields are no filter. Invalid fields are reported, so that the page can show what was typed.
 */
export function createFilterParser<Schema extends z.ZodType>(
  schema: Schema,
  fields: FilterFields,
): (query: unknown) => ListFilter<z.output<Schema>> {
  const known = { ...fields, ...PAGE_FIELDS };
  return (query) => {
    const typed = readFields(query, known);
    const { data, problems = [] } = parseInputs(schema, toFilterValues(typed, known), ([name]) => ({
      label: known[String(name)]?.label ?? String(name),
    }));
    return { typed, query: data, problems };
  };
}

/** Returns the fields of a query string that are not empty, as they were typed. */
export function readFields(query: unknown, fields: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.keys(fields).map((name) => [name, textOf((query as Record<string, unknown>)[name])] as const);
  return Object.fromEntries(texts.filter(([, text]) => text !== ''));
}

/** Converts typed fields into the values of the API. */
export const toFilterValues = (typed: Readonly<Record<string, string>>, fields: FilterFields): Record<string, string> =>
  Object.fromEntries(
    Object.entries(typed).map(([name, text]) => [name, fields[name]?.kind === 'day' ? startOfDay(text) : text]),
  );

/** The last of several values with the same name counts. */
function textOf(value: unknown): string {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value;
  return typeof last === 'string' ? last.trim() : '';
}

/** Returns the query of a filter. @throws 400 if the filter is invalid. */
export function validQueryOf<Query>({ query, problems }: ListFilter<Query>): Query {
  if (query === undefined) throw invalidRequest([...problems]);
  return query;
}

/** Whether the list shows only a part of its entries. */
export const isFiltered = ({ typed: { limit: _, cursor: __, ...filter } }: ListFilter<unknown>): boolean =>
  Object.keys(filter).length > 0;

/** A field of a form that counts as missing if it is empty. */
export const emptyAsMissing = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema);

/** Parses a whole number from 1 to `max`. */
export const wholeNumber = (max: number) =>
  z.string().transform((text, context) => {
    const value = parseInteger(text);
    if (value !== undefined && value >= 1 && value <= max) return value;
    context.addIssue({ code: 'custom', message: enterNumber({ minimum: 1, maximum: max }) });
    return z.NEVER;
  });

/** The start of a day of a date input, in UTC. */
const startOfDay = (day: string): string => `${day}T00:00:00.000Z`;
