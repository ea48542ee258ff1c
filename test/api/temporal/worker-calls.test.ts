import { ServiceError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callWorker } from '../../../src/api/temporal/worker-calls.js';
import { hasPoller } from '../../../src/temporal/client/pollers.js';
import { createClient } from '../../../src/temporal/connections.js';

/** The error that Temporal returns when another event arrives while an update is closing the workflow. */
const createLostTaskError = () =>
  new ServiceError('Failed to start Update', {
    cause: Object.assign(new Error('9 FAILED_PRECONDITION'), {
      code: 9,
      details: 'Unable to perform workflow execution update due to unexpected workflow task failure.',
      metadata: {},
    }),
  });

const deploymentVersion = (buildId: string) => ({ deploymentName: 'shop', buildId });
const hasPollerOf = (current: object | undefined, ...pollers: (object | undefined)[]) =>
  hasPollerFor(undefined, current, pollers);
const hasPollerFor = (pinnedTo: object | undefined, current: object | undefined, pollers: (object | undefined)[]) => {
  const lastAccessTime = { seconds: Date.now() / 1000 };
  const response = {
    pollers: pollers.map((deploymentOptions) => ({ lastAccessTime, deploymentOptions })),
    ...(current && { versioningInfo: { currentDeploymentVersion: current } }),
  };
  const client = {
    options: { namespace: 'default' },
    withDeadline: (_deadline: unknown, poll: () => unknown) => poll(),
    workflowService: { describeTaskQueue: async () => response },
  };
  return hasPoller(client as never, 'orders', { version: pinnedTo });
};

describe('hasPoller', () => {
  test.each([
    [
      'finds a worker when no version is current and only unversioned workers poll',
      hasPollerOf(undefined, undefined),
      true,
    ],
    [
      'finds a worker when the current version polls',
      hasPollerOf(deploymentVersion('2'), deploymentVersion('1'), deploymentVersion('2')),
      true,
    ],
    [
      'finds no worker when only a version other than the current version polls',
      hasPollerOf(deploymentVersion('2'), deploymentVersion('1')),
      false,
    ],
    [
      'finds no worker when a version is current but only unversioned workers poll',
      hasPollerOf(deploymentVersion('2'), undefined),
      false,
    ],
    ['finds no worker when no worker polls', hasPollerOf(undefined), false],
  ])('hasPoller %s', async (_description, result, response) => {
    expect(await result).toBe(response);
  });
});

test.each([
  [
    'finds a worker',
    'the pinned version and the current version poll',
    [deploymentVersion('1'), deploymentVersion('2')],
    true,
  ],
  ['finds a worker', 'only the pinned version polls', [deploymentVersion('1')], true],
  ['finds no worker', 'only the current version polls', [deploymentVersion('2')], false],
  ['finds no worker', 'only unversioned workers poll', [undefined], false],
])('hasPoller %s for a pinned workflow when %s', async (_finds, _when, pollers, response) => {
  expect(await hasPollerFor(deploymentVersion('1'), deploymentVersion('2'), pollers)).toBe(response);
});

describe('callWorker', () => {
  let client: ReturnType<typeof createClient>;
  beforeAll(() => {
    client = createClient({ TEMPORAL_ADDRESS: '127.0.0.1:9', TEMPORAL_NAMESPACE: 'default' });
  });
  afterAll(async () => {
    await client.connection.close();
  });

  test.each([
    ['its workflow task is lost', createLostTaskError()],
    [
      'the workflow never received it',
      new WorkflowUpdateFailedError('Workflow Update failed', ApplicationFailure.create({ type: 'UnprocessedUpdate' })),
    ],
  ])('callWorker sends an update again when %s', async (_when, error) => {
    let tries = 0;
    const response = await callWorker(client, { workflowId: 'order:x' }, async () => {
      tries += 1;
      if (tries < 3) throw error;
      return 'taken';
    });
    expect([response, tries]).toEqual(['taken', 3]);
  });

  test('callWorker throws the problem update-limit when a run accepts no further updates', async () => {
    const details = 'The limit on the total number of distinct updates in this workflow has been reached (2000).';
    // The gRPC status code of this error differs between server versions.
    for (const code of [8, 9]) {
      const cause = Object.assign(new Error(details), { code, details, metadata: {} });
      const asking = callWorker(client, { workflowId: 'cart:x' }, async () => {
        throw new ServiceError('Workflow Update failed', { cause });
      });
      await expect(asking).rejects.toMatchObject({ kind: 'update-limit', status: 409 });
    }
  });

  test('callWorker does not send an update again after an unexpected error', async () => {
    let tries = 0;
    const asking = callWorker(client, { workflowId: 'order:x' }, async () => {
      tries += 1;
      throw new TypeError('something else');
    });
    await expect(asking).rejects.toThrow('something else');
    expect(tries).toBe(1);
  });
});
