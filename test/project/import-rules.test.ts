import { ESLint } from 'eslint';
import { expect, test } from 'vitest';

// Runs only the import rules, because they need no type information. Other rules would require the types of the whole
// project.
const eslint = new ESLint({
  ruleFilter: ({ ruleId }) => ruleId.includes('no-restricted'),
  overrideConfig: { files: ['**/*.ts'], languageOptions: { parserOptions: { projectService: false } } },
});

/** Lints `code` as the content of `file`. @returns the violations of the import rules. */
async function lintErrors(file: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: file });
  return result!.messages
    .filter(({ ruleId, fatal }) => fatal || ruleId?.includes('no-restricted'))
    .map(({ ruleId, message }) => `${ruleId ?? 'fatal'}: ${message}`);
}

const workflow = 'src/workflows/order/workflow.ts';
const contract = 'src/workflows/order/contract.ts';
const sharedRules = 'src/workflows/batch/progress.ts';
const text = 'src/text/well-formed-text.ts';
const activity = 'src/activities/orders.ts';
const route = 'src/api/orders/routes.ts';
const schema = 'src/schemas/order.ts';
const clientModule = 'src/temporal/client/history.ts';
const tool = 'tools/replay/histories.ts';
const apiTest = 'test/api/console/forms.test.ts';

const sdkInternal = `import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'; void historyToJSON;`;

test.each([
  [workflow, `import { readFile } from 'node:fs/promises'; void readFile;`],
  [workflow, `import { createHash } from 'crypto'; void createHash;`],
  [workflow, `import { z } from 'zod'; void z;`],
  [workflow, `import { orderInput } from '../../schemas/order.js'; void orderInput;`],
  [workflow, `import { createActivities } from '../../activities/index.js'; void createActivities;`],
  [workflow, `import { openStore } from '../../store/index.js'; void openStore;`],
  [workflow, `import { buildApp } from '../../api/app.js'; void buildApp;`],
  [workflow, `import { cart } from '../cart/workflow.js'; void cart;`],
  [workflow, `import { withTimeout } from '../../async/promises.js'; void withTimeout;`],
  [workflow, `import { pino } from 'pino'; void pino;`],
  [workflow, `import { Client } from '@temporalio/client'; void Client;`],
  [workflow, `import { proxyLocalActivities } from '@temporalio/workflow'; void proxyLocalActivities;`],
  [workflow, `import { scheduleLocalActivity } from '@temporalio/workflow'; void scheduleLocalActivity;`],
  [workflow, `import * as sdk from '@temporalio/workflow'; void sdk.proxyLocalActivities;`],
  [workflow, `void fetch('http://127.0.0.1');`],
  [workflow, `void process.env.PATH;`],
  [workflow, `let count = 0; export const increase = () => (count += 1);`],
  [workflow, `const seen = new Set<string>(); export const hasSeen = (id: string) => seen.has(id);`],
  [workflow, `export const orders: string[] = [];`],
  [workflow, `export class Orders { static last = ''; }`],
  [text, `const cache = new Map<string, string>(); export const read = (key: string) => cache.get(key);`],
  [contract, `import { orderInput } from '../../schemas/order.js'; void orderInput;`],
  [contract, `import { Parcel } from './parcel.js'; void Parcel;`],
  [contract, `import { reasonOf } from '../shared/failures.js'; void reasonOf;`],
  [contract, `import { z } from 'zod'; void z;`],
  [sharedRules, `import { batchProgress } from '../../schemas/batch.js'; void batchProgress;`],
  [sharedRules, `import { countProgress } from './activities.js'; void countProgress;`],
  [activity, `import { order } from '../workflows/index.js'; void order;`],
  [activity, `import { order } from '../workflows/order/workflow.js'; void order;`],
  [activity, `import { Saga } from '../workflows/shared/saga.js'; void Saga;`],
  [activity, `void process.env.PATH;`],
  [route, `import { order } from '../../workflows/order/workflow.js'; void order;`],
  [route, `import { pollProgress } from '../../workflows/batch/progress-polls.js'; void pollProgress;`],
  [route, `import * as workflows from '../../workflows/index.js'; void workflows;`],
  [route, `void process.env.PATH;`],
  [schema, `import { ORDER_TASK_QUEUE } from '../workflows/order/contract.js'; void ORDER_TASK_QUEUE;`],
  [apiTest, `import { waitUntil } from '../../tools/processes/wait.js'; void waitUntil;`],
  [apiTest, `import { inject } from 'vitest'; const name = 'databaseUrl'; void inject(name);`],
  ...[workflow, contract, activity, route, schema, clientModule, tool].map((file) => [file, sdkInternal]),
])('in %s, ESLint rejects `%s`', async (file, code) => {
  expect(await lintErrors(file, code)).not.toEqual([]);
});

test.each([
  [workflow, `import type { OrderInput } from '../../schemas/order.js'; export type X = OrderInput;`],
  [workflow, `import { condition } from '@temporalio/workflow'; void condition;`],
  [workflow, `const kinds = new Set(['a', 'b']); export const isKind = (kind: string) => kinds.has(kind);`],
  [workflow, `export class Orders { static readonly limit = 3; private seen = new Set<string>(); }`],
  [workflow, `import { deprecatePatch, patched } from '@temporalio/workflow'; void [deprecatePatch, patched];`],
  [workflow, `import { cartQuery } from '../cart/contract.js'; void cartQuery;`],
  [workflow, `import { Saga } from '../shared/saga.js'; void Saga;`],
  [workflow, `import { runConcurrently } from '../../async/concurrency.js'; void runConcurrently;`],
  [contract, `import type { OrderView } from '../../schemas/order.js'; export type X = OrderView;`],
  [contract, `import { cartQuery } from '../cart/contract.js'; void cartQuery;`],
  [activity, `import { ORDER_TASK_QUEUE } from '../workflows/order/contract.js'; void ORDER_TASK_QUEUE;`],
  [activity, `import type { OrderView } from '../schemas/order.js'; export type X = OrderView;`],
  [route, `import { ORDER_TASK_QUEUE } from '../../workflows/order/contract.js'; void ORDER_TASK_QUEUE;`],
  [route, `import { finalStatusOf } from '../../workflows/batch/progress.js'; void finalStatusOf;`],
  [route, `import { closedRejectionOf } from '../../workflows/approval/decisions.js'; void closedRejectionOf;`],
  [sharedRules, `import type { BatchProgress } from '../../schemas/batch.js'; export type X = BatchProgress;`],
  [route, `import type * as workflows from '../../workflows/index.js'; export type X = typeof workflows;`],
  ['src/config/read.ts', `void process.env.PATH;`],
  [apiTest, `import { waitUntil } from '../support/processes.js'; void waitUntil;`],
  [apiTest, `import { inject } from 'vitest'; void inject('databaseUrl');`],
  ['src/temporal/sdk/histories.ts', sdkInternal],
  [apiTest, sdkInternal],
  ['test/support/processes.ts', `import { waitUntil } from '../../tools/processes/wait.js'; void waitUntil;`],
])('in %s, ESLint accepts `%s`', async (file, code) => {
  expect(await lintErrors(file, code)).toEqual([]);
});
