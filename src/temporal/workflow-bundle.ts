import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type Logger, type WorkflowBundleOption } from '@temporalio/worker';

/**
 * The optional parts of a workflow bundle. A bundle contains only the parts that are in use, because the worker runs them
 * for every workflow.
 */
export interface BundleVariant {
  /** Includes spans of workflows. */
  traced?: boolean;
  /** Moves failure messages into a payload, which the codec encrypts. */
  encrypted?: boolean;
}

/** All combinations of the optional parts. */
export const BUNDLE_VARIANTS: readonly BundleVariant[] = [
  {},
  { traced: true },
  { encrypted: true },
  { traced: true, encrypted: true },
];

/**
 * Returns the path of a variant, which is next to the plain bundle: `workflow-bundle.encrypted.js` next to
 * `workflow-bundle.js`.
 */
export function bundlePath(plain: string, { traced = false, encrypted = false }: BundleVariant): string {
  const variant = [traced && 'traced', encrypted && 'encrypted'].filter(Boolean).join('-');
  return variant ? plain.replace(/(\.js)?$/, `.${variant}$1`) : plain;
}

/**
 * Returns the workflow bundle: the given file, the file from the build, or a new bundle of the sources. For a file,
 * `variant` selects which file, see `bundlePath`. The worker always gets a bundle, because the payload converter of a bundle
 * applies only to the workflow sandbox. Without a bundle, the worker itself would also use that converter.
 */
export async function resolveWorkflowBundle(
  plainBundlePath: string | undefined,
  logger: Logger,
  variant: BundleVariant = {},
): Promise<WorkflowBundleOption> {
  if (plainBundlePath !== undefined) return { codePath: bundlePath(plainBundlePath, variant) };
  const codePath = bundlePath(fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)), variant);
  return existsSync(codePath) ? { codePath } : await bundleWorkflows(logger, variant);
}

/** Bundles the workflows of this checkout or build. */
export async function bundleWorkflows(
  logger: Logger,
  { traced = false, encrypted = false }: BundleVariant = {},
): Promise<{ code: string }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const sourceOf = (module: string) => fileURLToPath(new URL(`../${module}.${extension}`, import.meta.url));
  const workflowsPath = sourceOf('workflows/index');
  const payloadConverterPath = sourceOf('temporal/payloads/workflow-payload-converter');
  const failureConverterPath = sourceOf(
    encrypted ? 'temporal/encryption/encrypting-failure-converter' : 'temporal/payloads/bounded-failure-converter',
  );
  const outcomeInterceptor = sourceOf('workflows/shared/outcome-interceptor');
  return await bundleWorkflowCode({
    workflowsPath,
    payloadConverterPath,
    failureConverterPath,
    workflowInterceptorModules: [
      outcomeInterceptor,
      ...(traced ? [sourceOf('observability/tracing/workflow-interceptors')] : []),
    ],
    // All workflows of a worker thread share these modules and what they import. Otherwise each cached workflow holds its
    // own copy, which is most of its memory. ESLint forbids variables in these modules that workflows could change.
    // The spans of a workflow need modules of their own.
    preloadModules: [workflowsPath, payloadConverterPath, failureConverterPath, outcomeInterceptor],
    logger,
  });
}
