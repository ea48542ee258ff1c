import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

const pathOf = (file: string) => fileURLToPath(new URL(`../../${file}`, import.meta.url));

/**
 * The workflows of a release before all patches: the code of today, told that none of them is there. That this is what
 * the code did then, the replay of the histories that were recorded then proves, but for what a replay does not compare,
 * like the task queue of an activity.
 */
export async function releaseBeforePatches(): Promise<{ code: string }> {
  return await bundleWorkflowCode({
    workflowsPath: pathOf('src/workflows/index.ts'),
    payloadConverterPath: pathOf('src/payload-converter.ts'),
    logger: new DefaultLogger('ERROR'),
    webpackConfigHook(config) {
      const alias = { ...config.resolve?.alias, '@temporalio/workflow$': pathOf('test/replay/fixtures/no-patches.ts') };
      return { ...config, resolve: { ...config.resolve, alias } };
    },
  });
}
