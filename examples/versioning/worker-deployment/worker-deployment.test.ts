import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../../tools/processes/wait.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../../test/support/temporal/dev-server.js';
import '../../../test/support/setup/quiet-runtime.js';
import { runTemporalCli } from '../../../test/support/temporal/temporal-cli.js';
import { replayHistories } from '../replay-histories.js';
import { releaseSignal } from '../steps.js';
import { bundleExample, createWorker, DEPLOYMENT_NAME, TASK_QUEUE } from '../worker.js';

test.each<[string, Record<string, string>]>([
  [
    'version-1',
    {
      'pinned-1': 'replays',
      'pinned-2': 'activity type in the history is insure, in the code ship',
      'upgrading-1': 'replays',
      'upgrading-1-2': 'the history has the patch insure-parcels, the code does not use it',
    },
  ],
  [
    'version-2',
    {
      'pinned-1': 'activity type in the history is ship, in the code insure',
      'pinned-2': 'replays',
      'upgrading-1': 'replays',
      'upgrading-1-2': 'replays',
    },
  ],
])('%s replays every upgrading run that it can receive, and only its own pinned runs', async (code, outcomes) => {
  expect(await replayHistories('worker-deployment', `worker-deployment/${code}.ts`)).toEqual(outcomes);
});

// The tests depend on their order: together they take one deployment from version 1 to version 2 and back.
describeOnDevServer('a worker deployment with two versions', () => {
  let server: DevServer;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    server = await startDevServer();
    await startVersion('1');
    await deployment('set-current-version', '--build-id', '1');
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
    await server?.close();
  });

  /** Starts a worker of a version and waits until the server lists the version. */
  async function startVersion(buildId: string): Promise<void> {
    const { nativeConnection: connection, namespace } = server;
    const workflowBundle = await bundleExample(`worker-deployment/version-${buildId}.ts`);
    const worker = await createWorker({ connection, namespace, workflowBundle, buildId });
    const running = worker.run();
    stops.push(async () => {
      worker.shutdown();
      await running;
    });
    const isDescribed = async () => {
      const args = ['--deployment-name', DEPLOYMENT_NAME, '--build-id', buildId];
      const { code, stdout } = await runTemporalCli(server, 'worker', 'deployment', 'describe-version', ...args);
      return (code === 0 && stdout.includes(TASK_QUEUE)) || undefined;
    };
    await waitUntil(isDescribed, { description: `version ${buildId}`, timeoutMs: 40_000 });
  }

  async function deployment(command: string, ...args: string[]): Promise<void> {
    const options = ['--deployment-name', DEPLOYMENT_NAME, ...args, '--yes'];
    expect(await runTemporalCli(server, 'worker', 'deployment', command, ...options)).toMatchObject({ code: 0 });
  }

  async function start(type: 'pinnedParcel' | 'upgradingParcel'): Promise<WorkflowHandle> {
    const workflowId = `parcel:${randomUUID()}`;
    return await server.client.workflow.start(type, { workflowId, taskQueue: TASK_QUEUE, args: [workflowId] });
  }

  async function release(handle: WorkflowHandle): Promise<void> {
    await handle.signal(releaseSignal);
    await handle.result();
  }

  /** Returns the versions that completed the workflow tasks of a run, without duplicates. */
  async function versionsOf(handle: WorkflowHandle): Promise<string[]> {
    const { events } = await handle.fetchHistory();
    const buildIds = (events ?? []).flatMap(
      ({ workflowTaskCompletedEventAttributes: task }) => task?.deploymentVersion?.buildId ?? [],
    );
    return [...new Set(buildIds)];
  }

  /** Runs ten new parcels. @returns the versions that completed their workflow tasks. */
  async function versionsOfNewParcels(): Promise<Set<string>> {
    const handles = await Promise.all(Array.from({ length: 10 }, () => start('pinnedParcel')));
    await Promise.all(handles.map(release));
    return new Set((await Promise.all(handles.map(versionsOf))).flat());
  }

  test('starts no workflows on a new version before it is the ramping version', async () => {
    await startVersion('2');

    expect(await versionsOfNewParcels()).toEqual(new Set(['1']));
  });

  test('starts 0 % or 100 % of the new workflows on the ramping version, as configured', async () => {
    const ramp = (percentage: string) =>
      deployment('set-ramping-version', '--build-id', '2', '--percentage', percentage);

    await ramp('0');
    expect(await versionsOfNewParcels()).toEqual(new Set(['1']));
    await ramp('100');
    expect(await versionsOfNewParcels()).toEqual(new Set(['2']));
  });

  test('starts new workflows on the current version after the ramping version is removed', async () => {
    await deployment('set-ramping-version', '--build-id', '2', '--delete');

    expect(await versionsOfNewParcels()).toEqual(new Set(['1']));
  });

  test('moves an upgrading workflow to the new current version and keeps a pinned workflow on the old version', async () => {
    const [pinned, upgrading] = [await start('pinnedParcel'), await start('upgradingParcel')];
    for (const handle of [pinned, upgrading])
      await waitUntil(async () => (await versionsOf(handle)).length > 0 || undefined, {
        description: `a first workflow task of ${handle.workflowId}`,
        timeoutMs: 20_000,
      });
    await deployment('set-current-version', '--build-id', '2');
    await release(pinned);
    await release(upgrading);

    expect(await versionsOf(pinned)).toEqual(['1']);
    expect(await versionsOf(upgrading)).toEqual(['1', '2']);
  });

  test('starts new workflows on the previous version after it becomes the current version again', async () => {
    expect(await versionsOfNewParcels()).toEqual(new Set(['2']));
    await deployment('set-current-version', '--build-id', '1');

    expect(await versionsOfNewParcels()).toEqual(new Set(['1']));
  });
});
