import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { projectRoot } from '../settings/environment.js';
import { filesLoadedWith, formatProblem, readImports, type Imports } from '../source-build/import-graph.js';

/** Folders of tests that run the product in processes of its own, or read the documentation as a user. */
const END_TO_END_FOLDERS = ['test/e2e/', 'test/docs/'];

export const TEST_GLOBS = {
  all: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
  e2e: END_TO_END_FOLDERS.map((folder) => `${folder}**/*.test.ts`),
};

/** What a tool uses in the process of the test that imports this tool. */
const NEEDS_OF_TOOLS: readonly (readonly [start: string, need: string])[] = [
  ['tools/servers/', 'servers'],
  ['tools/servers/programs/temporal-cli.ts', 'temporalCli'],
  ['tools/servers/programs/time-skipping-server.ts', 'timeSkippingServer'],
];

/** Paths relative to the project, sorted. */
export function listTestFiles(): string[] {
  return ['examples', 'test'].flatMap(listFiles).filter((file) => file.endsWith('.test.ts'));
}

/** Returns the files below a folder of the project, with paths relative to the project, sorted. */
export function listFiles(folder: string): string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll(sep, '/')}`)
    .sort();
}

const isEndToEndTest = (file: string): boolean => END_TO_END_FOLDERS.some((folder) => file.startsWith(folder));

/** The needs of each test file: what the test file takes from the global setup, for example `databaseUrl`. */
export type TestNeeds = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Returns the needs of test files, with paths relative to the project. They are the names that the test file, or a file
 * that it loads, passes to `inject()`, and the programs of the tools that it loads. A test file without needs is a unit
 * test. If a file does not compile, prints the problem and returns undefined, because the needs are unknown.
 */
export function readTestNeeds(files: readonly string[] = listTestFiles()): TestNeeds | undefined {
  const imports = readImports(projectRoot, files);
  if (!Array.isArray(imports)) return new Map(files.map((file) => [file, needsOf(file, imports)]));
  for (const problem of imports) console.error(formatProblem('error', problem));
  return undefined;
}

/** Returns the test files without needs that are not end-to-end tests. */
export function unitTestsOf(needs: TestNeeds): string[] {
  return [...needs.keys()].filter((file) => !isEndToEndTest(file) && needs.get(file)!.size === 0);
}

export function needsOf(testFile: string, imports: Imports): Set<string> {
  const files = [...filesLoadedWith(testFile, imports, (file) => !file.startsWith('src/'))];
  const ofTools = NEEDS_OF_TOOLS.filter(([start]) => files.some((file) => file.startsWith(start)));
  return new Set([...files.flatMap(injectedNames), ...ofTools.map(([, need]) => need)]);
}

const namesByFile = new Map<string, readonly string[]>();

/** ESLint requires a string literal as the argument of `inject()`. A method like `app.inject()` is another function. */
function injectedNames(file: string): readonly string[] {
  if (!/^(test|examples)\//.test(file)) return [];
  const text = () => readFileSync(join(projectRoot, file), 'utf8');
  const names = namesByFile.get(file) ?? [...text().matchAll(/(?<!\.)\binject\('(\w+)'\)/g)].map(([, name]) => name!);
  namesByFile.set(file, names);
  return names;
}
