import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { runCommand } from './commands.js';
import type * as Temporal from '../src/temporal.js';
import { streamReport } from './report.js';
import { checkout } from './settings.js';

/** `npm run build`: compiles `src/` to `dist/`, with the workflow bundle beside it, so that a worker starts at once. */
const report = streamReport();
const dist = join(checkout, 'dist');

await rm(dist, { recursive: true, force: true });
await report.during('compiling to dist/', () =>
  runCommand({
    name: 'tsc',
    command: process.execPath,
    args: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    limitMs: 10 * 60_000,
  }),
);
const { bundleFile, bundleWorkflows } = (await import(
  pathToFileURL(join(dist, 'temporal.js')).href
)) as typeof Temporal;
for (const flavour of [{}, { traced: true }]) {
  const file = bundleFile(flavour);
  await report.during(`bundling the workflows: ${file}`, async () => {
    const { code } = await bundleWorkflows(new DefaultLogger('WARN'), flavour);
    await writeFile(join(dist, file), code);
  });
}
report.say('Start with: node dist/setup.js (once), node dist/worker.js, node dist/api/server.js');
process.exit(0);
