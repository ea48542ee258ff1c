import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeOnDevServer, startDevServer, type DevServer } from '../../../test/support/temporal/dev-server.js';
import '../../../test/support/setup/quiet-runtime.js';
import { replayHistories } from '../replay-histories.js';
import { releaseSignal } from '../steps.js';
import { bundleExample, createWorker, TASK_QUEUE } from '../worker.js';
import { startParcel, chooseParcelType } from './start-parcel.js';

describe('a second workflow type', () => {
  test.each<[string, Record<string, string>]>([
    ['1-one-type', { parcel: 'replays', parcelV2: 'the code has no workflow type parcelV2' }],
    ['2-both-types', { parcel: 'replays', parcelV2: 'replays' }],
    ['3-old-type-deleted', { parcel: 'the code has no workflow type parcel', parcelV2: 'replays' }],
  ])('%s replays only the histories of workflow types that it contains', async (code, outcomes) => {
    expect(await replayHistories('new-type', `new-type/${code}.ts`)).toEqual(outcomes);
  });
});

describe('chooseParcelType', () => {
  const parcelIds = Array.from({ length: 2_000 }, (_, index) => `parcel-${index}`);
  const idsOfV2 = (percent: number) => parcelIds.filter((id) => chooseParcelType(id, percent) === 'parcelV2');

  test('starts approximately the given percentage of parcels with the new type', () => {
    expect(idsOfV2(0)).toEqual([]);
    expect(idsOfV2(25).length / parcelIds.length).toBeCloseTo(0.25, 1);
    expect(idsOfV2(100)).toEqual(parcelIds);
  });

  test('keeps a parcel on the new type when the percentage increases', () => {
    expect(idsOfV2(50)).toEqual(expect.arrayContaining(idsOfV2(25)));
  });
});

describeOnDevServer('startParcel', () => {
  let server: DevServer;
  let worker: Worker | undefined;
  let running: Promise<void> | undefined;

  beforeAll(async () => {
    server = await startDevServer();
    const { nativeConnection: connection, namespace } = server;
    worker = await createWorker({
      connection,
      namespace,
      workflowBundle: await bundleExample('new-type/2-both-types.ts'),
    });
    running = worker.run();
  });
  afterAll(async () => {
    worker?.shutdown();
    await running;
    await server?.close();
  });

  const start = (parcelId: string, percentOfV2: number) =>
    startParcel(server.client, parcelId, { taskQueue: TASK_QUEUE, percentOfV2 });

  async function typeOf(handle: WorkflowHandle): Promise<string> {
    return (await handle.describe()).type;
  }

  test('starts the new type for new parcels and joins open parcels of the old type', async () => {
    const [older, newer] = [randomUUID(), randomUUID()];
    const open = await start(older, 0);
    const joined = await start(older, 100);
    const fresh = await start(newer, 100);
    for (const handle of [open, fresh]) {
      await handle.signal(releaseSignal);
      await handle.result();
    }

    expect([await typeOf(open), await typeOf(joined), await typeOf(fresh)]).toEqual(['parcel', 'parcel', 'parcelV2']);
    expect((await joined.describe()).runId).toBe((await open.describe()).runId);
  });
});
