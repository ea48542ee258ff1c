import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { runCommand } from '../processes/commands.js';
import type * as Bundles from '../../src/temporal/workflow-bundle.js';
import { createReporter } from '../terminal/reporter.js';
import { projectRoot } from '../settings/environment.js';
import { copyConsoleAssets } from './console-assets.js';

/**
 * `npm run build`: compiles `src/` to `dist/` and bundles the workflows for each variant, so that workers start without
 * bundling.
 */
const report = createReporter();
const distFolder = join(projectRoot, 'dist');

await rm(distFolder, { recursive: true, force: true });
await report.withProgress('compiling to dist/', () =>
  runCommand({
    name: 'tsc',
    command: process.execPath,
    args: ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    timeoutMs: 10 * 60_000,
  }),
);
await copyConsoleAssets(distFolder);
const { bundlePath, bundleWorkflows, BUNDLE_VARIANTS } = (await import(
  pathToFileURL(join(distFolder, 'temporal/workflow-bundle.js')).href
)) as typeof Bundles;
await report.withProgress('bundling the workflows', async () => {
  for (const flavour of BUNDLE_VARIANTS) {
    const { code } = await bundleWorkflows(new DefaultLogger('WARN'), flavour);
    await writeFile(bundlePath(join(distFolder, 'workflow-bundle.js'), flavour), code);
  }
});
report.print('Start with: node dist/setup.js (once), node dist/worker.js, node dist/api/server.js');
process.exit(0);
