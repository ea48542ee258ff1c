import {
  addBefore,
  addBeforeEntry,
  addImport,
  addNamedImport,
  addToList,
  append,
  imported,
  type Edit,
} from '../edits.js';
import { findActivityConflict } from './activity.js';
import type { Kind } from './kind.js';

const WORKFLOW = 'src/workflows/order/workflow.ts';
const CONSOLE = 'src/api/console/orders';

export const step: Kind = {
  summary: 'a step of the order, with its compensation, patch, stage, console entries, tests and recorded history',
  guide: 'docs/guides/add-a-step-to-the-order.md',
  example: 'book-courier',
  templates: ['step'],
  changesApi: true,
  edits: () => [...productEdits(), ...consoleEdits(), ...testEdits()],
  findConflict: findStepConflict,
  records: ['order-completed'],
  next: ['npm test -- test/workflows/order', 'npm run check'],
};

const productEdits = (): Edit[] => [
  ...imported('src/activities/index.ts', {
    name: 'createSampleCaseActivities',
    from: './sample-case.js',
    list: 'createActivities',
    entry: '...createSampleCaseActivities()',
  }),
  append(
    'src/workflows/order/activities.ts',
    `
export const { sampleCase } = proxyActivities<Activities>({ ...forwardOptions, summary: 'Sample case' });
export const { cancelSampleCase } = proxyActivities<Activities>({
  ...compensationOptions,
  summary: 'Cancel: sample case',
});`,
  ),
  addBefore('src/schemas/order.ts', /^ {4}'charging_payment',$/, `    'sample_case',`),
  addNamedImport(WORKFLOW, '@temporalio/workflow', 'patched'),
  addImport(WORKFLOW, `import { runSampleCase } from './sample-case.js';`),
  addBefore(WORKFLOW, /await charge\(state,/, `  if (patched('sample-case')) await runSampleCase(state, reserved);`),
];

const consoleEdits = (): Edit[] => [
  addBeforeEntry(`${CONSOLE}/saga-steps.ts`, 'STEPS_BY_STAGE', {
    before: 'charging_payment',
    entry: `sample_case: { name: 'sampleCase', compensation: 'cancelSampleCase', activities: ['sampleCase'] }`,
  }),
  addToList(`${CONSOLE}/saga-steps.ts`, 'TITLES', `sampleCase: 'Sample case'`),
  addToList(`${CONSOLE}/saga-steps.ts`, 'TITLES', `cancelSampleCase: 'Cancel: sample case'`),
  addToList(`${CONSOLE}/progress-text.ts`, 'STAGE_TEXTS', `sample_case: 'Runs the step: sample case.'`),
  addToList(
    `${CONSOLE}/actions.ts`,
    'CANCEL_CONSEQUENCES',
    `sample_case: () => \`The order stops: \${RELEASE}. Nothing was charged.\``,
  ),
];

const testEdits = (): Edit[] => [
  addBeforeEntry('test/workflows/order/fulfilment.test.ts', 'steps', {
    before: `'chargePayment'`,
    entry: `'sampleCase'`,
  }),
  addToList('test/workflows/order/fulfilment.test.ts', 'patches', `'sample-case'`),
];

async function findStepConflict(root: string, name: string): Promise<string | undefined> {
  return (await findActivityConflict(root, name)) ?? (await findActivityConflict(root, `cancel-${name}`));
}
