import type { Operation } from '../../../batch-operations/operation.js';
import { toInputJsonSchema, type JsonSchema } from '../forms/json-schema.js';

/** A field of an uploaded item. The name is also the name of its CSV column, such as `price.value`. */
export interface ItemField {
  name: string;
  isRequired: boolean;
  /** The values and the meaning of the field, for people. */
  description: string;
  example: string | number;
  /** The limits of a number. */
  minimum: number | undefined;
  maximum: number | undefined;
}

/** Describes the fields of an operation's items. Nested fields have names with dots. */
export function itemFieldsOf({ itemSchema }: Operation): ItemField[] {
  const { document, resolve } = toInputJsonSchema(itemSchema);

  function fieldsBelow(schema: JsonSchema, parents: string[], isParentRequired: boolean): ItemField[] {
    return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
      const field = resolve(property as JsonSchema);
      const path = [...parents, name];
      const isRequired = isParentRequired && (schema.required?.includes(name) ?? false);
      if (field.properties) return fieldsBelow(field, path, isRequired);
      const { minimum, maximum } = field;
      const limits = { minimum, maximum };
      return [
        { name: path.join('.'), isRequired, description: descriptionOf(field), example: exampleOf(field), ...limits },
      ];
    });
  }

  return fieldsBelow(document, [], true);
}

function descriptionOf({ type, minimum, maximum, description }: JsonSchema): string {
  const values =
    type === 'integer' && minimum !== undefined && maximum !== undefined
      ? `An integer from ${minimum.toLocaleString('en')} to ${maximum.toLocaleString('en')}.`
      : type === 'integer' || type === 'number'
        ? 'A number.'
        : 'Text.';
  return description === undefined ? values : `${values} ${description}`;
}

function exampleOf({ type, examples = [], minimum = 0 }: JsonSchema): string | number {
  const [example] = examples;
  if (typeof example === 'string' || typeof example === 'number') return example;
  return type === 'string' ? 'text' : Math.max(minimum, 12);
}

/** The first lines of a CSV upload. */
export const csvExampleOf = (fields: readonly ItemField[]): string =>
  `${fields.map(({ name }) => name).join(',')}\n${fields.map(({ example }) => example).join(',')}`;

/** A line of an NDJSON upload. */
export function ndjsonExampleOf(fields: readonly ItemField[]): string {
  const item: Record<string, unknown> = {};
  for (const { name, example } of fields) {
    const path = name.split('.');
    let object = item;
    for (const parent of path.slice(0, -1)) object = (object[parent] ??= {}) as Record<string, unknown>;
    object[path.at(-1)!] = example;
  }
  return JSON.stringify(item);
}
