import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { generatedFiles } from './document.js';
import { streamReport } from '../terminal/report.js';
import { checkout } from '../stack/settings.js';

/** `npm run openapi`: generates the OpenAPI document, the types of its client and the reference pages from the code. */
const report = streamReport();
for (const [path, text] of Object.entries(await generatedFiles())) {
  await writeFile(path, text);
  report.say(`wrote ${relative(checkout, path)}`);
}
process.exit(0);
