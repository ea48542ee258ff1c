import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { projectRoot } from '../settings/environment.js';

const DOCUMENT_PATH = join(projectRoot, 'openapi.json');
/** This file is not committed, because it is generated from openapi.json. */
const TYPES_PATH = join(projectRoot, 'tools/api-client/schema.d.ts');
const NOTE = '// Generated from openapi.json by "npm run openapi" and "npm run check".\n\n';

/** Generates the types of the API client from openapi.json, unless the existing types are newer than openapi.json. */
export async function updateClientTypes(): Promise<void> {
  const [documentTime, typesTime] = await Promise.all([modifiedAt(DOCUMENT_PATH), modifiedAt(TYPES_PATH)]);
  if (typesTime > documentTime) return;
  const document = JSON.parse(await readFile(DOCUMENT_PATH, 'utf8')) as never;
  await writeFile(TYPES_PATH, NOTE + astToString(await openapiTypescript(document)));
}

/** Returns the modification time in milliseconds since 1970, or 0 when the file does not exist. */
async function modifiedAt(path: string): Promise<number> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
