import { runCommand } from '../processes/commands.js';

const TIMEOUT_MS = 10 * 60_000;

export interface ProjectCommands {
  hasChanges: () => Promise<boolean>;
  listFiles: () => Promise<string[]>;
  /** The files that differ from the last commit, without deleted files. */
  changedFiles: () => Promise<string[]>;
  /** Writes the OpenAPI document, its pages, the types of the API client and the page of the benches. */
  generate: () => Promise<void>;
  /** Removes unused exports, files and dependencies. Returns whether there were any. */
  removeUnused: () => Promise<boolean>;
  format: () => Promise<void>;
  /** Removes packages from package-lock.json that package.json no longer needs. */
  lockDependencies: () => Promise<void>;
  recordHistories: (names: string[]) => Promise<void>;
}

/** The programs that the command runs in the project. */
export function createProjectCommands(root: string): ProjectCommands {
  const run = (name: string, command: string, ...args: string[]) =>
    runCommand({ name, command, args, cwd: root, timeoutMs: TIMEOUT_MS });
  const node = (name: string, script: string, ...args: string[]) => run(name, process.execPath, script, ...args);
  const status = () => run('git status', 'git', 'status', '--porcelain');
  const knip = (...args: string[]) => node('knip', 'node_modules/knip/bin/knip.js', '--no-exit-code', ...args);
  const changedFiles = async () =>
    (await run('git diff', 'git', 'diff', '--name-only', '--diff-filter=d')).split('\n').filter(Boolean);
  return {
    hasChanges: async () => (await status()).trim() !== '',
    listFiles: async () => (await run('git ls-files', 'git', 'ls-files')).split('\n').filter(Boolean),
    changedFiles,
    async generate() {
      await node('openapi', 'tools/run.mjs', 'tools/openapi/main.ts');
      await node('bench', 'tools/run.mjs', 'tools/bench/main.ts', '--page');
    },
    async removeUnused() {
      const report = JSON.parse(jsonLineOf(await knip('--reporter', 'json'))) as {
        files?: string[];
        issues: unknown[];
      };
      if (report.issues.length === 0 && !report.files?.length) return false;
      await knip('--fix', '--fix-type', 'files,exports,types,dependencies', '--allow-remove-files');
      return true;
    },
    async format() {
      const files = await changedFiles();
      const sources = files.filter((file) => /\.(?:ts|js)$/.test(file));
      await node('eslint', 'node_modules/eslint/bin/eslint.js', '--fix', '--quiet', ...sources).catch(() => undefined);
      await node(
        'prettier',
        'node_modules/prettier/bin/prettier.cjs',
        '--write',
        '--ignore-unknown',
        '--log-level=warn',
        ...files,
      );
    },
    async lockDependencies() {
      await run('npm install', 'npm', 'install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund');
    },
    async recordHistories(names) {
      await node('record-histories', 'tools/run.mjs', 'tools/recordings/main.ts', ...names);
    },
  };
}

/** The output can also contain warnings. */
const jsonLineOf = (output: string): string =>
  output.split('\n').find((line) => line.startsWith('{')) ?? '{"issues":[]}';
