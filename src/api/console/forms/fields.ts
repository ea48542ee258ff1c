import type { z } from 'zod';
import { toJsonPointer } from '../../../schemas/shared/input-problems.js';
import { toInputJsonSchema, type JsonSchema } from './json-schema.js';
import { capitalize, type NamedInput } from './problems.js';

/** A field of a form, made from the schema with which the API parses the same input. */
export type Field = {
  /** The name of the property. Empty for the whole input and for the items of a list. */
  name: string;
  label: string;
  hint: string | undefined;
  isRequired: boolean;
} & (
  | { kind: 'text'; maxLength: number | undefined; example: string | undefined }
  | { kind: 'integer'; minimum: number; maximum: number }
  | { kind: 'choice'; options: readonly string[] }
  | { kind: 'money'; currencies: readonly string[] }
  | { kind: 'group'; fields: Field[] }
  | { kind: 'list'; item: Field; minItems: number }
);

/** Describes the fields of an object. @throws for a schema of a kind that forms do not support. */
export function fieldsOf(schema: z.ZodType): Field {
  const { document, resolve } = toInputJsonSchema(schema);

  function toField(reference: JsonSchema, name: string, isRequired: boolean): Field {
    const schema = resolve(reference);
    const { type, properties, description } = schema;
    const base = { name, label: labelOf(name), hint: description?.replaceAll('`', ''), isRequired };
    if (schema.enum) return { ...base, kind: 'choice', options: schema.enum.map(String) };
    if (type === 'integer')
      return { ...base, kind: 'integer', minimum: schema.minimum ?? 0, maximum: schema.maximum ?? Infinity };
    if (type === 'string') {
      const [example] = schema.examples ?? [];
      return {
        ...base,
        kind: 'text',
        maxLength: schema.maxLength,
        example: typeof example === 'string' ? example : undefined,
      };
    }
    if (type === 'array') {
      const item = toField(schema.items as JsonSchema, '', true);
      return { ...base, kind: 'list', item, minItems: schema.minItems ?? 0 };
    }
    if (type === 'object' && properties) {
      if (isMoney(properties)) {
        const currencies = resolve(properties.currency as JsonSchema).enum!.map(String);
        // The description of an amount is about minor units, which forms do not show.
        return { ...base, hint: reference.description, kind: 'money', currencies };
      }
      const fields = Object.entries(properties).map(([key, property]) =>
        toField(property as JsonSchema, key, schema.required?.includes(key) ?? false),
      );
      return { ...base, kind: 'group', fields };
    }
    throw new Error(`${name || 'the input'}: a form cannot show ${JSON.stringify(schema)}`);
  }

  return toField(document, '', true);
}

const isMoney = (properties: object) => Object.keys(properties).sort().join(' ') === 'currency value';

/** Labels of properties whose name is no noun. */
const LABELS: Readonly<Record<string, string>> = { requestedBy: 'Requester' };

/** `approvalTimeoutSeconds` becomes `Approval timeout (seconds)`. */
function labelOf(name: string): string {
  if (Object.hasOwn(LABELS, name)) return LABELS[name]!;
  const words = name
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace(/\b(sku|url)\b/g, (word) => word.toUpperCase())
    .replace(/ seconds$/, ' (seconds)');
  return capitalize(words);
}

/** The singular of the label of a list: `Stages` becomes `Stage`. */
export const itemLabelOf = ({ label }: Field): string => label.replace(/s$/, '');

/** Returns the field to which a JSON pointer leads; undefined if the form has no such field. */
export function fieldAt(field: Field, pointer: string): Field | undefined {
  let current: Field | undefined = field;
  for (const part of pointer.split('/').slice(1)) {
    if (current?.kind === 'list' && /^\d{1,4}$/.test(part)) current = current.item;
    else if (current?.kind === 'group') current = current.fields.find(({ name }) => name === part);
    else return undefined;
  }
  return current;
}

/** Returns the input at the path of an issue. The amount and the currency of an amount of money have its name. */
export function inputAt(field: Field, path: readonly PropertyKey[]): NamedInput {
  const input = fieldAt(field, toJsonPointer(path)) ?? fieldAt(field, toJsonPointer(path.slice(0, -1)));
  if (!input) return { label: String(path.at(-1) ?? '') };
  const { label } = input;
  if (input.kind === 'integer') return { label, minimum: input.minimum, maximum: input.maximum };
  if (input.kind === 'list') return { label, itemLabel: itemLabelOf(input) };
  return { label: label || 'Entry' };
}
