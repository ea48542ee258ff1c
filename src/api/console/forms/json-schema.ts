import { z } from 'zod';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Returns the JSON Schema of the input of a schema, and a function that replaces a reference by what it refers to. */
export function toInputJsonSchema(schema: z.ZodType) {
  const document = z.toJSONSchema(schema, { io: 'input' });
  const resolve = ({ $ref, ...own }: JsonSchema): JsonSchema =>
    $ref === undefined ? own : { ...resolve(document.$defs![$ref.replace('#/$defs/', '')]!), ...own };
  return { document, resolve };
}
