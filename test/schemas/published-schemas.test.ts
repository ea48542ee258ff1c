import { readdir } from 'node:fs/promises';
import { jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { pageQuery } from '../../src/schemas/shared/page.js';

/** All schemas that `src/schemas` exports, including nested schemas. */
const schemas = new Set<z.core.$ZodTypes>();
const folder = new URL('../../src/schemas/', import.meta.url);
const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.ts'));
for (const file of files) {
  const exported = Object.values((await import(new URL(file, folder).pathname)) as object);
  for (const schema of exported.filter((value) => value instanceof z.ZodType)) {
    z.toJSONSchema(schema, {
      io: 'input',
      unrepresentable: 'any',
      override: ({ zodSchema }) => void schemas.add(zodSchema),
    });
  }
}
const metaOf = (schema: z.core.$ZodType) => z.globalRegistry.get(schema) ?? {};
const ids = [...schemas].flatMap((schema) => metaOf(schema).id ?? []);
const examples = [...schemas].flatMap((schema) =>
  ((metaOf(schema).examples ?? []) as unknown[]).map((example) => ({ schema, example })),
);

test('component schemas have unique names, even with the suffix `Input`', () => {
  expect(ids).toContain('OrderRequest');
  expect(ids.filter((id, index) => ids.indexOf(id) !== index || ids.includes(`${id}Input`))).toEqual([]);
});

test('every published component schema has a description', () => {
  const openapiObject = { openapi: '3.1.0', info: { title: '', version: '' } };
  const document = jsonSchemaTransformObject({ openapiObject }) as { components: { schemas: Record<string, object> } };
  const published = Object.entries(document.components.schemas);
  expect(published.map(([name]) => name)).toEqual(expect.arrayContaining(ids));
  expect(published.filter(([, schema]) => !('description' in schema && schema.description))).toEqual([]);
});

test('all schemas accept their own examples', () => {
  expect(examples.length).toBeGreaterThan(20);
  expect(examples.filter(({ schema, example }) => !z.safeParse(schema, example).success)).toEqual([]);
});

test('a page has 1 to 200 items, and 50 by default', () => {
  expect(z.toJSONSchema(pageQuery, { io: 'input' }).properties!.limit).toMatchObject({
    type: 'integer',
    minimum: 1,
    maximum: 200,
    default: 50,
  });
  const sizeOf = (limit?: string) => pageQuery.safeParse({ limit }).data?.limit;
  expect([undefined, '1', '200'].map(sizeOf)).toEqual([50, 1, 200]);
  expect(['', ' 7', '1e1', '1.0', '0x7', 'true', '0', '201'].map(sizeOf)).toEqual(Array(8).fill(undefined));
});
