import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Import rules of one room of the house: what may not be imported, and why. */
const wall = (...patterns) => ({ '@typescript-eslint/no-restricted-imports': ['error', { patterns }] });

const nodeBuiltins = {
  regex:
    '^(node:|(assert|buffer|child_process|crypto|dns|events|fs|http|https|net|os|path|perf_hooks|process|stream|timers|tls|url|util|worker_threads|zlib)(/|$))',
  message: 'workflow code is deterministic: it has no Node.js',
};
const onlyTypes = (group, message) => ({ group, message, allowTypeImports: true });

export default defineConfig(
  { ignores: ['node_modules', 'dist', '.data', 'coverage', 'tools/api-client/schema.d.ts'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      'preserve-caught-error': 'off',
      'no-restricted-syntax': [
        'error',
        { selector: 'SpreadElement > ObjectExpression', message: 'list the properties in place' },
        { selector: 'SpreadElement > ArrayExpression', message: 'list the elements in place' },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'only src/config/ reads the environment' },
      ],
    },
  },
  {
    files: ['src/workflows/**/*.ts'],
    rules: {
      ...wall(
        nodeBuiltins,
        onlyTypes(
          ['**/schemas/**', '**/activities/**'],
          'at run time these stay out of the workflow sandbox: import type',
        ),
        {
          group: [
            'zod',
            'zod/*',
            '**/store/**',
            '**/api/**',
            '**/config/**',
            '**/observability/**',
            '**/temporal/*.js',
            '**/temporal/encryption/**',
          ],
          message: 'not in workflow code',
        },
        {
          regex: '^\\.\\./(?!shared/|[a-z]+/contract\\.js$|\\.\\./)',
          message: 'of another workflow only its contract',
        },
        {
          regex: '^(?!\\.|@temporalio/(workflow|common)$)',
          message: 'workflow code imports @temporalio/workflow, @temporalio/common and its own folder',
        },
        {
          group: ['@temporalio/workflow'],
          importNames: ['proxyLocalActivities', 'scheduleLocalActivity'],
          message:
            'use proxyActivities: a local activity that ends beside a query can write a history that does not replay (docs/versioning.md)',
        },
      ),
      'no-restricted-globals': ['error', 'process', 'fetch', 'Buffer', 'performance'],
    },
  },
  {
    // Activities and the API import contracts, so a contract must not bring anything with it.
    files: ['src/workflows/*/contract.ts'],
    rules: wall(
      onlyTypes(['**/schemas/**'], 'at run time schemas stay out of the workflow sandbox: import type'),
      {
        regex: '^\\.(?!.*/contract\\.js$|.*/schemas/)',
        message: 'a contract is a leaf: it imports only other contracts, and types of schemas',
      },
      {
        regex: '^(?!\\.|@temporalio/(workflow|common)$)',
        message: 'workflow code imports @temporalio/workflow, @temporalio/common and its own folder',
      },
    ),
  },
  {
    files: ['src/activities/**/*.ts'],
    rules: wall(
      {
        regex: '/workflows/(?!\\w+/contract\\.js$|shared/concurrency\\.js$)',
        allowTypeImports: true,
        message: 'activities never run workflow code; of a workflow only its contract, and the concurrency limit',
      },
      {
        group: ['**/api/**', '**/config/**'],
        message: 'activities get what they need as dependencies',
      },
    ),
  },
  {
    files: ['src/api/**/*.ts'],
    rules: wall(
      {
        regex: '/workflows/(?!index\\.js$|[a-z]+/contract\\.js$)',
        message: 'the API knows workflows by their contracts',
      },
      onlyTypes(['**/workflows/index.js', '**/activities/**'], 'workflow functions and activities by import type only'),
    ),
  },
  {
    files: ['src/schemas/**/*.ts', 'src/store/**/*.ts'],
    rules: wall(
      onlyTypes(['**/workflows/**', '**/activities/**', '**/api/**'], 'schemas and store know nothing above them'),
    ),
  },
  { files: ['src/**/*.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
      },
    },
  },
  {
    files: ['test/**/*.ts', 'examples/**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'vitest', importNames: ['it'], message: 'one word: test' }] },
      ],
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/**', 'test/tools/**', 'test/e2e/**', 'test/replay/**', 'test/deploy/**'],
    rules: wall({ regex: '^(\\.\\./)+tools/', message: 'import from test/support/, for example support/processes.js' }),
  },
  {
    // Here the mistakes are the point; elsewhere this rule refuses a validator that nobody waits for.
    files: ['examples/pitfalls/*.wrong.ts'],
    rules: { '@typescript-eslint/no-misused-promises': 'off' },
  },
);
