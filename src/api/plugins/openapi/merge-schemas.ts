import type { OpenAPIV3_1 } from 'openapi-types';

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/**
 * Merges the two schemas that zod generates for each component: one for input (`OrderInput`) and one for output
 * (`Order`). If both are equal or only one of them is used, the component has one schema without the `Input` suffix.
 * Unused components are removed. Schemas that describe only output allow additional fields, so that responses can get
 * new fields later.
 */
export function mergeInputOutputSchemas(document: OpenAPIV3_1.Document): OpenAPIV3_1.Document {
  const { schemas = {}, ...components } = document.components ?? {};
  const schemasByName = new Map(Object.entries(schemas as Record<string, Json>));
  const hasEqualSchemas = (name: string) => areEqualSchemas(schemasByName.get(`${name}Input`), schemasByName.get(name));
  const sharedNames = new Set([...schemasByName.keys()].filter(hasEqualSchemas));
  for (const [name, schema] of schemasByName)
    if (!isInputName(name) && !sharedNames.has(name)) schemasByName.set(name, allowAdditionalProperties(schema));
  const users = [document.paths, components.responses] as unknown as Json;
  const used = findReferencedSchemas(users, schemasByName);
  const renamed = new Map(
    [...used]
      .filter(isInputName)
      .filter((name) => !used.has(withoutInputSuffix(name)) || sharedNames.has(withoutInputSuffix(name)))
      .map((name) => [name, withoutInputSuffix(name)]),
  );
  const usedSchemas = [...used]
    .map((name) => [renamed.get(name) ?? name, renameReferences(schemasByName.get(name)!, renamed)] as const)
    .sort(([a], [b]) => a.localeCompare(b));
  return {
    ...(renameReferences(document as unknown as Json, renamed) as unknown as OpenAPIV3_1.Document),
    components: {
      ...components,
      schemas: Object.fromEntries(usedSchemas) as OpenAPIV3_1.ComponentsObject['schemas'] & object,
    },
  };
}

const REF = '#/components/schemas/';
const isInputName = (name: string) => name.endsWith('Input');
const withoutInputSuffix = (name: string) => name.replace(/Input$/, '');

/** Whether both schemas are equal, apart from the `Input` suffix in references. */
const areEqualSchemas = (input: Json | undefined, output: Json | undefined): boolean =>
  input !== undefined &&
  output !== undefined &&
  JSON.stringify(input).replaceAll('Input"', '"') === JSON.stringify(output);

function findReferencedSchemas(from: Json, schemasByName: ReadonlyMap<string, Json>): Set<string> {
  const found = new Set<string>();
  const visit = (json: Json): void => {
    if (typeof json !== 'object' || json === null) return;
    if (!Array.isArray(json) && typeof json.$ref === 'string' && json.$ref.startsWith(REF)) {
      const name = json.$ref.slice(REF.length);
      if (!found.has(name) && schemasByName.has(name)) {
        found.add(name);
        visit(schemasByName.get(name)!);
      }
    }
    Object.values(json).forEach(visit);
  };
  visit(from);
  return found;
}

function renameReferences(json: Json, names: ReadonlyMap<string, string>): Json {
  return mapObjects(json, (object) => {
    const name = typeof object.$ref === 'string' ? names.get(object.$ref.slice(REF.length)) : undefined;
    return name === undefined ? object : { ...object, $ref: REF + name };
  });
}

const allowAdditionalProperties = (json: Json): Json =>
  mapObjects(json, ({ additionalProperties, ...object }) =>
    additionalProperties === undefined || additionalProperties === false ? object : { ...object, additionalProperties },
  );

function mapObjects(json: Json, change: (object: { [name: string]: Json }) => Json): Json {
  if (Array.isArray(json)) return json.map((entry) => mapObjects(entry, change));
  if (typeof json !== 'object' || json === null) return json;
  return change(Object.fromEntries(Object.entries(json).map(([name, value]) => [name, mapObjects(value, change)])));
}
