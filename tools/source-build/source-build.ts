import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedBuild, hashSources } from './cached-build.js';
import { compileSource } from './compile-source.js';

/** The sources of this checkout as JavaScript, which starts faster than TypeScript. */
export interface SourceBuild {
  /** The folder with `src/`, and with the workflow bundle where the compiled worker finds it. */
  folder: string;
  /** The path of the workflow bundle. */
  workflowBundle: string;
}

/** Builds the current sources, unless an earlier build of the same sources exists. @throws when they do not compile. */
export async function buildSources(): Promise<SourceBuild> {
  const folder = await cachedBuild(await hashSources(), async (target) => {
    const [code] = await Promise.all([bundleCode(), compileSource(target)]);
    await writeFile(bundleIn(target), code);
  });
  return { folder, workflowBundle: bundleIn(folder) };
}

/** Loads the SDK only for a build, because most starts find one. */
async function bundleCode(): Promise<string> {
  const { DefaultLogger } = await import('@temporalio/worker');
  const { bundleWorkflows } = await import('../../src/temporal/workflow-bundle.js');
  return (await bundleWorkflows(new DefaultLogger('WARN'))).code;
}

const bundleIn = (folder: string): string => join(folder, 'src', 'workflow-bundle.js');
