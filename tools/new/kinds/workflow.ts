import { addAfterLast, addImport, addToList, append, imported, type Edit } from '../edits.js';
import type { Kind } from './kind.js';

export const workflow: Kind = {
  summary: 'a workflow with its schema, activities, task queue, HTTP routes, tests, recorded histories and a page',
  guide: 'docs/guides/add-a-workflow.md',
  templates: ['workflow'],
  changesApi: true,
  reserves: ['src/workflows/sample-case', 'src/api/sample-cases', 'src/activities/sample-case.ts'],
  edits: () => [...productEdits(), ...testEdits(), ...deploymentEdits(), ...pageEdits()],
  next: [
    'npm test -- test/workflows/sample-case test/api/sample-cases test/replay/recorded-histories.test.ts',
    'npm run check',
  ],
};

const productEdits = (): Edit[] => [
  append('src/workflows/index.ts', `export { sampleCase } from './sample-case/workflow.js';`),
  ...imported('src/activities/index.ts', {
    name: 'createSampleCaseActivities',
    from: './sample-cases.js',
    list: 'createActivities',
    entry: '...createSampleCaseActivities(deps)',
  }),
  ...imported('src/temporal/task-queues.ts', {
    name: 'SAMPLE_CASE_TASK_QUEUE',
    from: '../workflows/sample-case/contract.js',
    list: 'TASK_QUEUES',
    entry: 'SAMPLE_CASE_TASK_QUEUE',
  }),
  addImport('src/api/app.ts', `import { sampleCaseRoutes } from './sample-cases/routes.js';`),
  addAfterLast(
    'src/api/app.ts',
    /^ {2}app\.register\(\w+, \{ prefix: '\/v1\//,
    `  app.register(sampleCaseRoutes, { prefix: '/v1/sample-cases', ...deps });`,
  ),
  addToList('src/api/http/route-contract.ts', 'TAGS', `'Sample cases': 'Open until completed or expired.'`),
  ...imported('src/api/plugins/openapi/examples.ts', {
    name: 'sampleCaseExamples',
    from: '../../sample-cases/examples.js',
    list: 'OPERATION_EXAMPLES',
    entry: '...sampleCaseExamples',
  }),
];

const PAYLOADS_TEST = 'test/e2e/security/unexpected-payloads.test.ts';

const testEdits = (): Edit[] => [
  ...imported('tools/recordings/recordings.ts', {
    name: 'sampleCaseRecordings',
    from: './sample-cases.js',
    list: 'recordings',
    entry: '...sampleCaseRecordings',
  }),
  ...imported('test/api/plugins/idempotency.test.ts', {
    name: 'sampleCaseRequests',
    from: '../../support/shop/sample-cases.js',
    list: 'cases',
    entry: '...sampleCaseRequests({ post, workflowExists, countUpdates })',
  }),
  addImport(PAYLOADS_TEST, `import { makeSampleCase } from '../../support/shop/sample-cases.js';`),
  addToList(
    PAYLOADS_TEST,
    'WORKFLOWS',
    `sampleCase: { taskQueue: 'sample-cases', folder: 'sample-case', input: makeSampleCase(), path: '/v1/sample-cases' }`,
  ),
  addToList(PAYLOADS_TEST, 'MESSAGES_WITHOUT_ARGUMENT', `'completeSampleCase'`),
  addToList(
    PAYLOADS_TEST,
    'open',
    `async sampleCase(extras) {
      const input = makeSampleCase();
      const workflowId = \`sampleCase:\${input.sampleCaseId}\`;
      const handle = await startHealthy('sampleCase', workflowId, input, extras);
      const finish = async () => {
        await handle.executeUpdate('completeSampleCase');
        return await resultOf(workflowId, { status: 'completed' });
      };
      return { type: 'sampleCase', workflowId, finish };
    }`,
  ),
];

const deploymentEdits = (): Edit[] => [
  addAfterLast('deploy/kubernetes/base/kustomization.yaml', /^ {2}- workers\//, '  - workers/sample-cases'),
  append(
    'deploy/kubernetes/components/backlog-autoscaling/scaled-objects.yaml',
    `---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: worker-sample-cases
  labels:
    app.kubernetes.io/name: worker
    app.kubernetes.io/part-of: shop
spec:
  scaleTargetRef: { name: worker-sample-cases }
  minReplicaCount: 2
  maxReplicaCount: 4
  triggers:
    - type: temporal
      metadata:
        endpointFromEnv: TEMPORAL_ADDRESS
        namespaceFromEnv: TEMPORAL_NAMESPACE
        taskQueue: sample-cases
        queueTypes: workflow,activity
        targetQueueSize: '20'`,
  ),
  append(
    'deploy/kubernetes/components/worker-controller/autoscalers.yaml',
    `---
apiVersion: temporal.io/v1alpha1
kind: WorkerResourceTemplate
metadata:
  name: worker-sample-cases
  labels:
    app.kubernetes.io/name: worker
    app.kubernetes.io/part-of: shop
spec:
  workerDeploymentRef: { name: worker-sample-cases }
  template:
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    spec:
      scaleTargetRef: {}
      minReplicas: 2
      maxReplicas: 4
      metrics:
        - type: Resource
          resource: { name: cpu, target: { type: Utilization, averageUtilization: 70 } }`,
  ),
];

const pageEdits = (): Edit[] => [
  addAfterLast(
    'docs/README.md',
    /^- \[[^\]]+\]\(patterns\//,
    '- [Sample case](patterns/sample-case.md): a timer with a message that ends the wait',
  ),
  addAfterLast('test/support/docs/tested-pages.ts', /^ {2}'docs\/patterns\//, "  'docs/patterns/sample-case.md',"),
];
