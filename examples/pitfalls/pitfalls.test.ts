import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { waitUntil } from '../../tools/processes/wait.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../test/support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../test/support/temporal/event-summaries.js';
import '../../test/support/setup/quiet-runtime.js';
import { replayAdvancedRuns, takeDifferences } from '../../test/support/replay/run-tracker.js';
import type * as workflows from './pitfalls.workflows.js';
import { ExternalSystem } from './external-system.js';

type Type = keyof typeof workflows;

const taskQueue = 'pitfalls';
const deadlineMs = 20_000;

describeOnDevServer('workflow anti-patterns', () => {
  const externalSystem = new ExternalSystem();
  let server: DevServer;
  let worker: Worker | undefined;
  let running: Promise<void> | undefined;
  const started: WorkflowHandle[] = [];

  beforeAll(async () => {
    // Without this setting, the server delays an immediate continue-as-new by one second.
    server = await startDevServer({ dynamicConfig: ['history.workflowIdReuseMinimalInterval="0s"'] });
    worker = await Worker.create({
      connection: server.nativeConnection,
      namespace: server.namespace,
      taskQueue,
      activities: externalSystem.activities,
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('pitfalls.workflows.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
      }),
    });
    running = worker.run();
  });
  afterAll(async () => {
    worker?.shutdown();
    await running;
    await server?.close();
  });
  // Most of the incorrect workflows never close, so they are terminated after each test.
  afterEach(async () => {
    for (const handle of started.splice(0)) {
      if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
    }
  });

  /** Starts a workflow with a new id. If no argument is given, the workflow receives its id as the argument. */
  async function start(type: Type, argument?: unknown): Promise<WorkflowHandle> {
    const workflowId = randomUUID();
    const handle = await server.client.workflow.start(type, { taskQueue, workflowId, args: [argument ?? workflowId] });
    started.push(handle);
    return handle;
  }

  const waitForEvent = (handle: WorkflowHandle, type: string) =>
    waitUntil(async () => (await fetchEventSummaries(handle)).some((event) => event.type === type) || undefined, {
      description: `${type} of ${handle.workflowId}`,
      timeoutMs: deadlineMs,
    });

  /** Waits until the workflow task has failed at least once. @returns the latest failure message. */
  async function failureOfStuckTask(handle: WorkflowHandle): Promise<string | null | undefined> {
    const wasRetried = async () => ((await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0) >= 2 || undefined;
    await waitUntil(wasRetried, {
      description: `a second attempt of the workflow task of ${handle.workflowId}`,
      timeoutMs: deadlineMs,
    });
    const { events } = await handle.fetchHistory();
    return events?.flatMap((event) => event.workflowTaskFailedEventAttributes ?? []).at(-1)?.failure?.message;
  }

  test.each<[Type, string[]]>([
    ['registerCompensationAfterStep', ['charge']],
    ['registerCompensationFirst', ['charge', 'refund']],
  ])(
    'compensation after the step: when the response to a charge is lost, %s has the effects %j',
    async (type, effects) => {
      const orderId = randomUUID();
      externalSystem.loseResponseTo(orderId);
      const handle = await start(type, orderId);

      await expect(handle.result()).rejects.toThrow('Workflow execution failed');
      expect(externalSystem.effectsOf(orderId)).toEqual(effects);
    },
  );

  test.each<[Type, string[]]>([
    ['compensateInCancelledScope', ['charge']],
    ['compensateInNonCancellableScope', ['charge', 'refund']],
  ])('compensation in the cancelled scope: after a cancellation, %s has the effects %j', async (type, effects) => {
    const handle = await start(type);
    await waitForEvent(handle, 'ActivityTaskCompleted');
    await handle.cancel();

    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    expect(externalSystem.effectsOf(handle.workflowId)).toEqual(effects);
  });

  test('Map across continue-as-new: the next run receives a plain object instead of the Map and makes no progress', async () => {
    const [wrong, right] = await Promise.all([start('continueWithMap', true), start('continueWithPlainJson', true)]);

    expect(await failureOfStuckTask(wrong)).toBe('cart.get is not a function');
    expect(await right.result()).toBe(2);
  });

  test('async validator: the update is not rejected, so the caller waits and the workflow makes no progress', async () => {
    const [wrong, right] = await Promise.all([start('validateAsynchronously'), start('validateSynchronously')]);
    const onResponse = vi.fn();
    wrong.executeUpdate('add', { args: [0] }).then(onResponse, onResponse);

    await expect(right.executeUpdate('add', { args: [0] })).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
    expect(await failureOfStuckTask(wrong)).toBe('Unhandled Promise rejection: ApplicationFailure: at least one');
    expect(onResponse).not.toHaveBeenCalled();
  });

  test('child that never reports: a parent that waits for a signal does not notice that the child failed', async () => {
    const wrong = await start('awaitChildSignal', 0);
    await waitForEvent(wrong, 'ChildWorkflowExecutionFailed');
    const right = await start('awaitChild', 0);
    expect(await right.result()).toBe('failed');
    const hasHandledFailure = async () => {
      const types = (await fetchEventSummaries(wrong)).map(({ type }) => type);
      return types.slice(types.indexOf('ChildWorkflowExecutionFailed')).includes('WorkflowTaskCompleted') || undefined;
    };
    await waitUntil(hasHandledFailure, {
      description: 'a workflow task of the parent after the failure of the child',
      timeoutMs: deadlineMs,
    });

    expect((await wrong.describe()).status.name).toBe('RUNNING');
  });

  test('local activity beside queries: the history does not replay when the activity ends during a query', async () => {
    const countBesideQueries = async (type: Type) => {
      const handle = await start(type);
      const count = () => handle.executeUpdate('count');
      for (let round = 0; round < 5; round += 1) {
        // The third update and the query arrive while the workflow task of the first update is open.
        await Promise.all([count(), count(), handle.query('counted'), setTimeout(15).then(count)]);
      }
      await handle.executeUpdate('close');
      await handle.result();
    };
    await countBesideQueries('countWithRegularActivity');
    await replayAdvancedRuns();
    expect(takeDifferences()).toEqual([]);

    const findDifferences = async () => {
      await countBesideQueries('countWithLocalActivity');
      await replayAdvancedRuns();
      return takeDifferences().join() || undefined;
    };
    const differences = await waitUntil(findDifferences, {
      description: 'a history that does not replay',
      timeoutMs: deadlineMs,
      intervalMs: 0,
    });
    // The timing decides which command of the code comes too early.
    expect(differences).toMatch(
      /^countWithLocalActivity .* at event \d+ (WorkflowExecutionUpdateAccepted|MarkerRecorded)/,
    );
  });

  test('late handler: an early decision is accepted only if the handler is set first', async () => {
    const [wrong, right] = await Promise.all([start('setHandlerLate'), start('setHandlerFirst')]);
    await Promise.all([wrong, right].map((handle) => waitForEvent(handle, 'TimerStarted')));

    await expect(wrong.executeUpdate('decide', { args: ['yes'] })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('decide') as string },
    });
    expect(await right.executeUpdate('decide', { args: ['yes'] })).toBe('yes');
    expect(await right.result()).toBe('yes');
  });

  test.each<[Type, string[]]>([
    ['chargeWithoutIdempotencyKey', ['charge', 'charge']],
    ['chargeWithIdempotencyKey', ['charge']],
  ])('non-idempotent activity: when a response is lost, %s has the effects %j', async (type, effects) => {
    const orderId = randomUUID();
    externalSystem.loseResponseTo(orderId);
    await (await start(type, orderId)).result();

    expect(externalSystem.effectsOf(orderId)).toEqual(effects);
  });

  test('plain Error in workflow code: the workflow does not fail and makes no progress', async () => {
    const [wrong, right] = await Promise.all([start('throwPlainError'), start('throwApplicationFailure')]);

    expect(await failureOfStuckTask(wrong)).toBe('unknown SKU');
    await expect(right.result()).rejects.toMatchObject({ cause: { type: 'UnknownSku' } });
  });
});
