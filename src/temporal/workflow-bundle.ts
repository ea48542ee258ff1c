import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type Logger, type WorkflowBundleOption } from '@temporalio/worker';

/** What a bundle holds besides the workflows. Each cached workflow has a copy of it, so nothing is in there for later. */
export interface BundleFlavour {
  /** Spans of workflows. */
  traced?: boolean;
  /** Failures hide what they say in a payload, for the codec to encrypt. */
  encrypted?: boolean;
}

/** All of them. */
export const FLAVOURS: readonly BundleFlavour[] = [
  {},
  { traced: true },
  { encrypted: true },
  { traced: true, encrypted: true },
];

/** The bundle of a flavour, by the name of the plain one: `workflow-bundle.encrypted.js` beside `workflow-bundle.js`. */
export function bundleOfFlavour(plain: string, { traced = false, encrypted = false }: BundleFlavour): string {
  const flavour = [traced && 'traced', encrypted && 'encrypted'].filter(Boolean).join('-');
  return flavour ? plain.replace(/(\.js)?$/, `.${flavour}$1`) : plain;
}

/**
 * The workflow code as a bundle: the given one, the one that the build made, or the sources, bundled now. Of the first two
 * the file of the flavour is taken. Only in a bundle the payload converter gets into the workflow sandbox without being
 * loaded by the worker as well.
 */
export async function workflowBundle(
  given: string | undefined,
  logger: Logger,
  flavour: BundleFlavour = {},
): Promise<WorkflowBundleOption> {
  if (given !== undefined) return { codePath: bundleOfFlavour(given, flavour) };
  const codePath = bundleOfFlavour(fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)), flavour);
  return existsSync(codePath) ? { codePath } : await bundleWorkflows(logger, flavour);
}

/** Bundles the workflows of this checkout or build. */
export async function bundleWorkflows(
  logger: Logger,
  { traced = false, encrypted = false }: BundleFlavour = {},
): Promise<{ code: string }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const sourceOf = (module: string) => fileURLToPath(new URL(`../${module}.${extension}`, import.meta.url));
  return await bundleWorkflowCode({
    workflowsPath: sourceOf('workflows/index'),
    payloadConverterPath: sourceOf('temporal/payloads/workflow-converter'),
    workflowInterceptorModules: [
      sourceOf('workflows/shared/life'),
      ...(traced ? [sourceOf('observability/tracing/workflow-interceptors')] : []),
    ],
    failureConverterPath: sourceOf(
      encrypted ? 'temporal/encryption/failure-converter' : 'temporal/payloads/failure-converter',
    ),
    logger,
  });
}
