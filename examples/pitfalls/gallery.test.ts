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
import type * as workflows from './gallery.workflows.js';
import { World } from './world.js';

type Type = keyof typeof workflows;

const taskQueue = 'gallery';
const deadlineMs = 20_000;

describeOnDevServer('wrong on purpose', () => {
  const world = new World();
  let server: DevServer;
  let worker: Worker | undefined;
  let running: Promise<void> | undefined;
  const started: WorkflowHandle[] = [];

  beforeAll(async () => {
    // Without this setting, an immediate continue-as-new waits for a second.
    server = await startDevServer({ dynamicConfig: ['history.workflowIdReuseMinimalInterval="0s"'] });
    worker = await Worker.create({
      connection: server.nativeConnection,
      namespace: server.namespace,
      taskQueue,
      activities: world.activities,
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('gallery.workflows.ts', import.meta.url)),
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
  // Most of the wrong workflows never end by themselves.
  afterEach(async () => {
    for (const handle of started.splice(0)) {
      if ((await handle.describe()).status.name === 'RUNNING') await handle.terminate();
    }
  });

  /** Starts a workflow with a new id. The default argument is that id. */
  async function start(type: Type, argument?: unknown): Promise<WorkflowHandle> {
    const workflowId = randomUUID();
    const handle = await server.client.workflow.start(type, { taskQueue, workflowId, args: [argument ?? workflowId] });
    started.push(handle);
    return handle;
  }

  const wrote = (handle: WorkflowHandle, type: string) =>
    waitUntil(async () => (await fetchEventSummaries(handle)).some((event) => event.type === type) || undefined, {
      description: `${type} of ${handle.workflowId}`,
      timeoutMs: deadlineMs,
    });

  /** Returns the failure of the workflow task, after at least two attempts. */
  async function stuckWith(handle: WorkflowHandle): Promise<string | null | undefined> {
    const again = async () => ((await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0) >= 2 || undefined;
    await waitUntil(again, { description: `another try of ${handle.workflowId}`, timeoutMs: deadlineMs });
    const { events } = await handle.fetchHistory();
    return events?.flatMap((event) => event.workflowTaskFailedEventAttributes ?? []).at(-1)?.failure?.message;
  }

  test.each<[Type, string[]]>([
    ['undoesWhatSucceeded', ['charge']],
    ['undoesWhatMayHaveHappened', ['charge', 'refund']],
  ])('compensation after the step: when the answer to a charge is lost, then %s leaves %j', async (type, effects) => {
    const orderId = randomUUID();
    world.loseAnswerTo(orderId);
    const handle = await start(type, orderId);

    await expect(handle.result()).rejects.toThrow('Workflow execution failed');
    expect(world.effectsOf(orderId)).toEqual(effects);
  });

  test.each<[Type, string[]]>([
    ['undoesInTheCancelledScope', ['charge']],
    ['undoesOutsideTheCancelledScope', ['charge', 'refund']],
  ])('compensation in the cancelled scope: when it is cancelled, then %s leaves %j', async (type, effects) => {
    const handle = await start(type);
    await wrote(handle, 'ActivityTaskCompleted');
    await handle.cancel();

    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    expect(world.effectsOf(handle.workflowId)).toEqual(effects);
  });

  test('Map across continue-as-new: when the next run reads it, then it has become no Map, and the run is stuck', async () => {
    const [wrong, right] = await Promise.all([start('carriesAMap', true), start('carriesPlainJson', true)]);

    expect(await stuckWith(wrong)).toBe('cart.get is not a function');
    expect(await right.result()).toBe(2);
  });

  test('async validator: when it has something to refuse, then the caller waits and the workflow is stuck', async () => {
    const [wrong, right] = await Promise.all([start('refusesLater'), start('refusesAtOnce')]);
    const answered = vi.fn();
    wrong.executeUpdate('add', { args: [0] }).then(answered, answered);

    await expect(right.executeUpdate('add', { args: [0] })).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
    expect(await stuckWith(wrong)).toBe('Unhandled Promise rejection: ApplicationFailure: at least one');
    expect(answered).not.toHaveBeenCalled();
  });

  test('child that never reports: when the child fails, then who waits to be told waits on', async () => {
    const wrong = await start('waitsToBeTold', 0);
    await wrote(wrong, 'ChildWorkflowExecutionFailed');
    const right = await start('waitsForTheChild', 0);
    expect(await right.result()).toBe('failed');
    const taskAfter = async () => {
      const types = (await fetchEventSummaries(wrong)).map(({ type }) => type);
      return types.slice(types.indexOf('ChildWorkflowExecutionFailed')).includes('WorkflowTaskCompleted') || undefined;
    };
    await waitUntil(taskAfter, { description: 'the parent learning of it', timeoutMs: deadlineMs });

    expect((await wrong.describe()).status.name).toBe('RUNNING');
  });

  test('local activity beside queries: when one ends while a query is answered, then the replay is another', async () => {
    const countedBesideQueries = async (type: Type) => {
      const handle = await start(type);
      const count = () => handle.executeUpdate('count');
      for (let round = 0; round < 5; round += 1) {
        // The last count arrives while the workflow task of the first is open, like the query.
        await Promise.all([count(), count(), handle.query('counted'), setTimeout(15).then(count)]);
      }
      await handle.executeUpdate('close');
      await handle.result();
    };
    await countedBesideQueries('countsByActivity');
    await replayAdvancedRuns();
    expect(takeDifferences()).toEqual([]);

    const differs = async () => {
      await countedBesideQueries('countsLocally');
      await replayAdvancedRuns();
      return takeDifferences().join() || undefined;
    };
    const found = await waitUntil(differs, {
      description: 'a history that does not replay',
      timeoutMs: deadlineMs,
      intervalMs: 0,
    });
    expect(found).toMatch(/^countsLocally .* at event \d+ WorkflowExecutionUpdateAccepted/);
  });

  test('late handler: when somebody decides early, then only who listens first takes it', async () => {
    const [wrong, right] = await Promise.all([start('listensLate'), start('listensFirst')]);
    await Promise.all([wrong, right].map((handle) => wrote(handle, 'TimerStarted')));

    await expect(wrong.executeUpdate('decide', { args: ['yes'] })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('decide') as string },
    });
    expect(await right.executeUpdate('decide', { args: ['yes'] })).toBe('yes');
    expect(await right.result()).toBe('yes');
  });

  test.each<[Type, string[]]>([
    ['chargesWithEachTry', ['charge', 'charge']],
    ['chargesUnderAKey', ['charge']],
  ])('non-idempotent activity: when an answer is lost, then %s leaves %j', async (type, effects) => {
    const orderId = randomUUID();
    world.loseAnswerTo(orderId);
    await (await start(type, orderId)).result();

    expect(world.effectsOf(orderId)).toEqual(effects);
  });

  test('plain Error in workflow code: when it is thrown, then the workflow does not fail, it is stuck', async () => {
    const [wrong, right] = await Promise.all([start('throwsAnError'), start('throwsAFailure')]);

    expect(await stuckWith(wrong)).toBe('unknown SKU');
    await expect(right.result()).rejects.toMatchObject({ cause: { type: 'UnknownSku' } });
  });
});
