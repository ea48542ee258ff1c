import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { waitUntil } from '../../support/processes.js';
import '../../support/setup/quiet-runtime.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';
import { useWorker } from '../../support/temporal/use-worker.js';
import { continueSignal, logQuery, type runScript, type SagaScript } from './saga.workflows.js';

const taskQueue = 'sagas';
const WAIT_OPTIONS = { timeoutMs: 20_000, intervalMs: 100 };

describeWithTimeSkipping('a saga in a workflow', () => {
  const tests = useWorker(startTimeSkippingServer, async ({ nativeConnection, namespace }) =>
    Worker.create({
      debugMode: true,
      connection: nativeConnection,
      namespace,
      taskQueue,
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('./saga.workflows.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
      }),
    }),
  );

  const start = (script: SagaScript) =>
    tests.server.client.workflow.start<typeof runScript>('runScript', {
      taskQueue,
      workflowId: randomUUID(),
      args: [script],
    });

  const logOf = async (script: SagaScript) => (await start(script)).result();

  const waitForLogLine = (handle: WorkflowHandle<typeof runScript>, line: string) =>
    waitUntil(async () => ((await handle.query(logQuery)).includes(line) ? true : undefined), {
      description: line,
      ...WAIT_OPTIONS,
    });

  test('compensates all steps in reverse order, including a step that fails after its effect', async () => {
    const log = await logOf({ steps: [{ name: 'a' }, { name: 'b' }, { name: 'c', then: 'fails' }, { name: 'd' }] });

    expect(log).toEqual([
      'a',
      'b',
      'c',
      'failed',
      'compensate c started',
      'compensate c completed',
      'compensate b started',
      'compensate b completed',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
    ]);
  });

  test('runs each compensation once when the workflow calls compensate twice', async () => {
    const log = await logOf({ steps: [{ name: 'a' }], compensateCalls: 2 });

    expect(log).toEqual([
      'a',
      'all done',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
      'compensate: true',
    ]);
  });

  test('does not run compensations that the workflow unregistered', async () => {
    const log = await logOf({
      steps: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
      unregister: ['compensate a', 'compensate c'],
    });

    expect(log).toEqual([
      'a',
      'b',
      'c',
      'all done',
      'compensate b started',
      'compensate b completed',
      'compensate: true',
    ]);
  });

  test('completes slow compensations after a workflow cancellation', async () => {
    const handle = await start({
      steps: [
        { name: 'a', compensationBehaviours: ['slow'] },
        { name: 'b', then: 'waits', compensationBehaviours: ['slow'] },
      ],
    });
    await waitForLogLine(handle, 'b');

    await handle.cancel();

    expect(await handle.result()).toEqual([
      'a',
      'b',
      'cancelled',
      'compensate b started',
      'compensate b completed',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
    ]);
  });

  test('runs a stuck blocking compensation again on each retry, and the older compensations afterwards', async () => {
    const log = await logOf({
      steps: [{ name: 'a' }, { name: 'b', compensationBehaviours: ['fails', 'fails'], isGate: true }],
      decisions: ['retry', 'retry'],
    });

    expect(log).toEqual([
      'a',
      'b',
      'all done',
      'compensate b started',
      'compensate b stuck: no route',
      'compensate b started',
      'compensate b stuck: no route',
      'compensate b started',
      'compensate b completed',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
    ]);
  });

  test('runs the older compensations after a stuck blocking compensation is skipped', async () => {
    const log = await logOf({
      steps: [{ name: 'a' }, { name: 'b', compensationBehaviours: ['fails'], isGate: true }],
      decisions: ['skip'],
    });

    expect(log).toEqual([
      'a',
      'b',
      'all done',
      'compensate b started',
      'compensate b stuck: no route',
      'compensate b skipped',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
    ]);
  });

  test('a stuck compensation still waits for a decision after a workflow cancellation', async () => {
    const handle = await start({ steps: [{ name: 'a', compensationBehaviours: ['fails'] }] });
    await waitForLogLine(handle, 'compensate a stuck: no route');

    await handle.cancel();
    await waitForLogLine(handle, 'compensate a stuck: no route');
    await handle.signal(continueSignal);

    expect((await handle.result()).slice(-3)).toEqual([
      'compensate a stuck: no route',
      'compensate a skipped',
      'compensate: true',
    ]);
  });

  test('a PointOfNoReturn stops the compensation until the workflow calls compensate again', async () => {
    const log = await logOf({
      steps: [{ name: 'a' }, { name: 'b' }, { name: 'c', compensationBehaviours: ['point of no return'] }],
      compensateCalls: 2,
    });

    expect(log).toEqual([
      'a',
      'b',
      'c',
      'all done',
      'compensate c started',
      'compensate c rejected',
      'compensate: false',
      'compensate b started',
      'compensate b completed',
      'compensate a started',
      'compensate a completed',
      'compensate: true',
    ]);
  });

  // This test is the last in the file, because its workflow never closes.
  test('a bug in a compensation fails the workflow task, and no older step is compensated', async () => {
    const handle = await start({ steps: [{ name: 'a' }, { name: 'b', compensationBehaviours: ['bug'] }] });

    const failed = await waitUntil(
      async () => {
        const { events } = await handle.fetchHistory();
        return events?.map((event) => event.workflowTaskFailedEventAttributes).find(Boolean) ?? undefined;
      },
      { description: 'a failed workflow task', ...WAIT_OPTIONS },
    );
    const { status } = await handle.describe();
    await handle.terminate();

    expect(failed.failure?.message).toBe('undefined is not a function');
    expect(status.name).toBe('RUNNING');
  });
});
