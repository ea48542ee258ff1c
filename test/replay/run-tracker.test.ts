import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createClient } from '../../src/temporal/connections.js';
import { waitUntil } from '../support/processes.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../support/temporal/event-summaries.js';
import '../support/setup/quiet-runtime.js';
import { trackNamespace, replayAdvancedRuns, replayOpenRuns, takeDifferences } from '../support/replay/run-tracker.js';
import { Replayer } from '../support/replay/replayer.js';
import type * as workflows from './fixtures/non-deterministic.workflows.js';

const taskQueue = 'not-deterministic';

test('Replayer does not replay a workflow task that is still open', async () => {
  const {
    EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EVENT_TYPE_WORKFLOW_TASK_STARTED,
  } = proto.temporal.api.enums.v1.EventType;
  const events = [
    EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EVENT_TYPE_WORKFLOW_TASK_STARTED,
  ].map((eventType) => ({ eventType }));

  const replayer = new Replayer({ workflowBundle: { codePath: inject('workflowBundle') } });
  const run = { workflowId: 'order:1', runId: '1', workflowType: 'order', history: { events } };
  expect(await replayer.replay(run, 0)).toEqual({ isClosed: false, replayedEvents: 0 });
});

describeOnDevServer('the replay after every test', () => {
  let server: DevServer;
  let workflowBundle: WorkflowBundle;
  let worker: Worker | undefined;
  let running: Promise<void> | undefined;

  beforeAll(async () => {
    server = await startDevServer();
    workflowBundle = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('./fixtures/non-deterministic.workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    const { nativeConnection: connection, namespace } = server;
    worker = await Worker.create({ connection, namespace, taskQueue, workflowBundle });
    running = worker.run();
  });
  afterAll(async () => {
    worker?.shutdown();
    await running;
    await server?.close();
  });

  const start = (type: keyof typeof workflows) =>
    server.client.workflow.start(type, { taskQueue, workflowId: randomUUID() });

  /** Replays the workflows of the current test. @returns the differences that would fail this test. */
  async function differences(): Promise<string[]> {
    await replayAdvancedRuns();
    return takeDifferences();
  }

  const expectedDifference = (id: string): unknown =>
    expect.stringMatching(`^\\w+ ${id}, run .*, at event 5 TimerStarted: the history has TimerStarted, the code`);

  test('reports a non-deterministic workflow once', async () => {
    const handle = await start('sleepUnlessReplaying');
    await handle.result();

    expect(await differences()).toEqual([expectedDifference(handle.workflowId)]);
    expect(await differences()).toEqual([]);
  });

  test('reports a non-deterministic child workflow', async () => {
    const handle = await start('runChild');
    await handle.result();

    expect(await differences()).toEqual([expectedDifference(`${handle.workflowId}/1`)]);
  });

  test('reports a non-deterministic run after continue-as-new', async () => {
    const handle = await start('continueAsNewOnce');
    await handle.result();

    expect(await differences()).toEqual([expectedDifference(handle.workflowId)]);
  });

  test('reports a non-deterministic workflow of a separate worker process in a tracked namespace', async () => {
    const handle = await start('sleepUnlessReplaying');
    await handle.result();
    await differences();
    await replayOpenRuns();
    const { address, namespace, client } = server;
    const isListed = async () =>
      (await client.workflow.count(`WorkflowId = '${handle.workflowId}'`)).count === 1 || undefined;
    await waitUntil(isListed, { description: 'the workflow in visibility', timeoutMs: 20_000 });

    trackNamespace(`${address} ${namespace}`, {
      client: () => createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace }),
      code: { workflowBundle, payloadCodecs: [] },
    });
    expect(await differences()).toContainEqual(expectedDifference(handle.workflowId));
  });

  test('reports no difference for a deterministic workflow', async () => {
    await (await start('sleepAlways')).result();

    expect(await differences()).toEqual([]);
  });

  test('reports no difference for a workflow task that fails in the same way on replay', async () => {
    const handle = await start('throwTypeError');
    await waitUntil(() => hasFailedTask(handle), { description: 'a failed workflow task', timeoutMs: 20_000 });
    const found = await differences();
    await handle.terminate();

    expect(found).toEqual([]);
  });
});

async function hasFailedTask(handle: WorkflowHandle): Promise<true | undefined> {
  return (await fetchEventSummaries(handle)).some(({ type }) => type === 'WorkflowTaskFailed') || undefined;
}
