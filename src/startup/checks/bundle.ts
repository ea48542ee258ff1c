import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import type { ConfigProblem } from '../../config/errors.js';
import { bundlePath, type BundleVariant } from '../../temporal/workflow-bundle.js';

/** The SDK finds the workflows in a bundle by this name. */
const BUNDLE_MARKER = /\bvar __TEMPORAL__\b/;

/** The problem of the bundle file that WORKFLOW_BUNDLE selects, if any. */
export function checkBundle(given: string, flavour: BundleVariant): ConfigProblem | undefined {
  const file = bundlePath(given, flavour);
  const problem = (text: string): ConfigProblem => ({
    name: 'WORKFLOW_BUNDLE',
    problem: text,
    example: 'dist/workflow-bundle.js',
  });
  let code: string;
  try {
    code = readFileSync(file, 'utf8');
  } catch (error) {
    const { code: reason } = error as NodeJS.ErrnoException;
    if (reason !== 'ENOENT') return problem(`cannot read ${file} (${reason})`);
    return problem(
      `there is no file ${file}${file === given ? '' : ', the bundle for traces or encryption as they are on'}`,
    );
  }
  if (code.trim() === '') return problem(`${file} is empty`);
  try {
    new Script(code, { filename: file });
  } catch (error) {
    return problem(`${file} is not JavaScript (${(error as Error).message})`);
  }
  return BUNDLE_MARKER.test(code) ? undefined : problem(`${file} is not a bundle of workflows`);
}
