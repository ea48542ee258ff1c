import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { updateClientTypes } from './client-types.js';
import { generatedFiles } from './document.js';
import { createReporter } from '../terminal/reporter.js';
import { projectRoot } from '../settings/environment.js';

/**
 * `npm run openapi`: generates the OpenAPI document, the reference pages and the types of the API client from the code.
 */
const report = createReporter();
for (const [path, text] of Object.entries(await generatedFiles())) {
  await writeFile(path, text);
  report.print(`wrote ${relative(projectRoot, path)}`);
}
await updateClientTypes();
process.exit(0);
