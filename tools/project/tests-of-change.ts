import { relative, sep } from 'node:path';
import { projectRoot } from '../settings/environment.js';
import { filesLoadedWith, formatProblem, readImports } from '../source-build/import-graph.js';
import { listFiles, listTestFiles, needsOf } from './test-tiers.js';

/**
 * Returns the tests that watch mode runs after a change of a file that is not a test file: the tests that import the
 * file, and the tests in `test/workflows/<feature>` of each feature whose workflows import the file. Vitest alone would
 * miss the second kind, because a worker loads workflows from the bundle.
 *
 * @returns undefined, so that vitest chooses, if the file is a test file. If a file does not compile, prints the problem
 * and returns no tests.
 */
export function testsOfChange(changedPath: string): string[] | undefined {
  const changed = relative(projectRoot, changedPath).replaceAll(sep, '/');
  if (changed.endsWith('.test.ts')) return undefined;
  const workflowFiles = listFiles('src/workflows').filter((file) => /^src\/workflows\/[^/]+\/.*\.ts$/.test(file));
  const testFiles = listTestFiles();
  const imports = readImports(projectRoot, [...workflowFiles, ...testFiles]);
  if (Array.isArray(imports)) {
    for (const problem of imports) console.error(formatProblem('error', problem));
    return [];
  }

  const importsChanged = (file: string): boolean => filesLoadedWith(file, imports).has(changed);
  const features = new Set(workflowFiles.filter(importsChanged).map((file) => file.split('/')[2]!));
  const runsWorkflow = (file: string): boolean =>
    features.has(/^test\/workflows\/([^/]+)\//.exec(file)?.[1] ?? '') && needsOf(file, imports).has('workflowBundle');
  return testFiles.filter((file) => runsWorkflow(file) || importsChanged(file));
}
