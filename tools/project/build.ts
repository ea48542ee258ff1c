import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { runCommand } from '../processes/commands.js';
import type * as Bundles from '../../src/temporal/workflow-bundle.js';
import { streamReport } from '../terminal/report.js';
import { checkout } from '../stack/settings.js';

/**
 * `npm run build`: compiles `src/` to `dist/` and adds a workflow bundle for each flavour, so that a worker starts
 * without bundling.
 */
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
const { bundleOfFlavour, bundleWorkflows, FLAVOURS } = (await import(
  pathToFileURL(join(dist, 'temporal/workflow-bundle.js')).href
)) as typeof Bundles;
await report.during('bundling the workflows', async () => {
  for (const flavour of FLAVOURS) {
    const { code } = await bundleWorkflows(new DefaultLogger('WARN'), flavour);
    await writeFile(bundleOfFlavour(join(dist, 'workflow-bundle.js'), flavour), code);
  }
});
report.say('Start with: node dist/setup.js (once), node dist/worker.js, node dist/api/server.js');
process.exit(0);
