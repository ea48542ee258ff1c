import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import type { ConfigProblem } from '../../config/errors.js';
import { bundlePath, type BundleVariant } from '../../temporal/workflow-bundle.js';

/** Every workflow bundle declares this variable. The SDK reads the workflows from the variable with this name. */
const BUNDLE_MARKER = /\bvar __TEMPORAL__\b/;

/**
 * Checks the bundle file that WORKFLOW_BUNDLE selects for a variant. Does not run the code.
 *
 * @returns the problem; undefined for a valid workflow bundle.
 */
export function checkBundle(configuredPath: string, variant: BundleVariant): ConfigProblem | undefined {
  const file = bundlePath(configuredPath, variant);
  const problemOf = (problem: string): ConfigProblem => ({
    name: 'WORKFLOW_BUNDLE',
    problem,
    example: 'dist/workflow-bundle.js',
  });
  let code: string;
  try {
    code = readFileSync(file, 'utf8');
  } catch (error) {
    const { code: reason } = error as NodeJS.ErrnoException;
    if (reason !== 'ENOENT') return problemOf(`cannot read ${file} (${reason})`);
    const remark = file === configuredPath ? '' : ', the variant of the bundle for tracing or encryption';
    return problemOf(`file ${file} does not exist${remark}`);
  }
  if (code.trim() === '') return problemOf(`${file} is empty`);
  try {
    new Script(code, { filename: file });
  } catch (error) {
    return problemOf(`${file} is not JavaScript (${(error as Error).message})`);
  }
  return BUNDLE_MARKER.test(code) ? undefined : problemOf(`${file} is not a bundle of workflows`);
}
