import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** Forbids the imports that match one of the patterns. The message of a pattern says what is allowed. */
const restrictImports = (...patterns) => ({ '@typescript-eslint/no-restricted-imports': ['error', { patterns }] });

const sdkInternals = {
  regex: '^@temporalio/[^/]+/lib(/|$)',
  message: 'import internals of the SDK from src/temporal/sdk/, so that an upgrade can break only that folder',
};
/** Like `restrictImports`, for code that may not import internals of the SDK either. */
const restrictSourceImports = (...patterns) => restrictImports(sdkInternals, ...patterns);

/** `npm test` reads these names from the source, to start only what the tests need. */
const literalInject = {
  selector: "CallExpression[callee.name='inject']:not([arguments.0.type='Literal'])",
  message: "pass the name to inject() as a string literal, for example inject('databaseUrl')",
};

const nodeBuiltins = {
  regex:
    '^(node:|(assert|buffer|child_process|crypto|dns|events|fs|http|https|net|os|path|perf_hooks|process|stream|timers|tls|url|util|worker_threads|zlib)(/|$))',
  message: 'workflow code must be deterministic, so it must not import Node.js modules',
};
const moduleVariables = ':matches(Program, Program > ExportNamedDeclaration) > VariableDeclaration';
/** State in a module of the workflow bundle. All workflows of a worker thread share these modules. */
const sharedState = [
  `${moduleVariables}[kind='let']`,
  // Empty collections, which only make sense if something changes them.
  `${moduleVariables} > VariableDeclarator > NewExpression[callee.name=/^(Weak)?(Map|Set)$/][arguments.length=0]`,
  `${moduleVariables} > VariableDeclarator > ArrayExpression[elements.length=0]`,
  `${moduleVariables} > VariableDeclarator > ObjectExpression[properties.length=0]`,
  'PropertyDefinition[static=true][readonly!=true]',
].map((selector) => ({
  selector,
  message: 'workflows share their modules; keep the state of a workflow in its function or in an object',
}));
const noSpreadLiterals = [
  {
    selector: 'SpreadElement > ObjectExpression',
    message: 'write the properties directly; do not spread an object literal',
  },
  {
    selector: 'SpreadElement > ArrayExpression',
    message: 'write the elements directly; do not spread an array literal',
  },
];
const onlyTypes = (group, message) => ({ group, message, allowTypeImports: true });

export default defineConfig(
  {
    ignores: [
      'node_modules',
      'dist',
      '.data',
      'coverage',
      'docs/.vitepress/dist',
      'tools/api-client/schema.d.ts',
      // Compiles only after `npm run new` has inserted the names. test/e2e/new lints the result.
      'tools/new/templates',
    ],
  },
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
      'no-restricted-syntax': ['error', ...noSpreadLiterals],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'only src/config/ may read process.env; pass the configuration as an argument',
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts', 'tools/**/*.ts', 'examples/**/*.ts'],
    ignores: ['src/temporal/sdk/**'],
    rules: restrictSourceImports(),
  },
  {
    files: ['src/workflows/**/*.ts'],
    rules: {
      ...restrictSourceImports(
        nodeBuiltins,
        onlyTypes(
          ['**/schemas/**', '**/activities/**'],
          'workflow code may import schemas and activities only with "import type"',
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
          message: 'workflow code must not import modules that do not run in the workflow sandbox',
        },
        {
          regex: '^\\.\\./(?!shared/|[a-z-]+/contract\\.js$|\\.\\./)',
          message: 'workflow code may import only contract.ts of another workflow',
        },
        {
          regex: '/async/(?!concurrency\\.js$)',
          message: 'workflow code may import only concurrency.ts of src/async',
        },
        {
          regex: '^(?!\\.|@temporalio/(workflow|common)$|nexus-rpc$)',
          message: 'workflow code may import only the packages @temporalio/workflow, @temporalio/common and nexus-rpc',
        },
        {
          group: ['@temporalio/workflow'],
          importNames: ['proxyLocalActivities', 'scheduleLocalActivity'],
          message:
            'use proxyActivities: a local activity that ends during a query can write a history that fails to replay (docs/concepts/versioning.md)',
        },
      ),
      'no-restricted-globals': [
        'error',
        'process',
        'fetch',
        'Buffer',
        'performance',
        { name: 'Temporal', message: 'the workflow sandbox does not make Temporal.Now deterministic; use Date' },
      ],
    },
  },
  {
    // Activities and the API import these files, so they would also load every module that such a file imports.
    files: ['src/workflows/*/contract.ts', 'src/workflows/approval/decisions.ts', 'src/workflows/batch/progress.ts'],
    rules: restrictSourceImports(
      onlyTypes(['**/schemas/**'], 'a workflow contract may import schemas only with "import type"'),
      {
        regex: '^\\.(?!.*/contract\\.js$|.*/schemas/)',
        message: 'a workflow contract may import only other contracts and the types of schemas',
      },
      {
        regex: '^(?!\\.|@temporalio/(workflow|common)$|nexus-rpc$)',
        message:
          'a workflow contract may import only the packages @temporalio/workflow, @temporalio/common and nexus-rpc',
      },
    ),
  },
  {
    // The modules of the workflow bundle, as test/temporal/workflow-bundle.test.ts lists them, and of its variants.
    files: [
      'src/workflows/**/*.ts',
      'src/async/concurrency.ts',
      'src/failures/**/*.ts',
      'src/temporal/encryption/encrypting-failure-converter.ts',
      'src/temporal/payloads/**/*.ts',
      'src/text/**/*.ts',
    ],
    rules: { 'no-restricted-syntax': ['error', ...noSpreadLiterals, ...sharedState] },
  },
  {
    files: ['src/activities/**/*.ts'],
    rules: restrictSourceImports(
      {
        regex: '/workflows/(?![a-z-]+/contract\\.js$)',
        allowTypeImports: true,
        message: 'activities may import only contract.ts of a workflow; use "import type" for types',
      },
      {
        group: ['**/api/**', '**/config/**'],
        message: 'activities must not import src/api or src/config; pass the values as dependencies',
      },
    ),
  },
  {
    files: ['src/api/**/*.ts'],
    rules: restrictSourceImports(
      {
        regex: '/workflows/(?!index\\.js$|[a-z-]+/contract\\.js$|approval/decisions\\.js$|batch/progress\\.js$)',
        message:
          'the API may import only workflows/index.js, the contract.js files of workflows, approval/decisions.js and batch/progress.js',
      },
      onlyTypes(
        ['**/workflows/index.js', '**/activities/**'],
        'the API may import workflow functions and activities only with "import type"',
      ),
    ),
  },
  {
    files: ['src/schemas/**/*.ts', 'src/store/**/*.ts'],
    rules: restrictSourceImports(
      onlyTypes(
        ['**/workflows/**', '**/activities/**', '**/api/**'],
        'schemas and store may import from workflows, activities and api only with "import type"',
      ),
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
    files: ['src/api/console/assets/*.js'],
    languageOptions: {
      globals: {
        document: 'readonly',
        location: 'readonly',
        EventSource: 'readonly',
        history: 'readonly',
        Event: 'readonly',
        FormData: 'readonly',
        HTMLElement: 'readonly',
        HTMLDetailsElement: 'readonly',
        URLSearchParams: 'readonly',
        XMLHttpRequest: 'readonly',
        fetch: 'readonly',
        window: 'readonly',
      },
    },
  },
  {
    files: ['test/**/*.ts', 'examples/**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'vitest', importNames: ['it'], message: 'use test instead of it' }] },
      ],
      'no-restricted-syntax': ['error', ...noSpreadLiterals, literalInject],
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/**', 'test/tools/**', 'test/e2e/**', 'test/replay/**', 'test/deploy/**'],
    rules: restrictImports({
      regex: '^(\\.\\./)+tools/',
      message: 'tests must not import from tools/; use test/support/ instead, for example support/processes.js',
    }),
  },
  {
    // These examples contain mistakes on purpose. In all other files, this rule rejects an async update validator,
    // which the SDK does not await.
    files: ['examples/pitfalls/wrong/*.ts'],
    rules: { '@typescript-eslint/no-misused-promises': 'off' },
  },
);
