import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { waitUntil } from '../../tools/processes/wait.js';
import { describeOnDevServer, startDevServer } from '../../test/support/temporal/dev-server.js';
import type { TemporalServer } from '../../test/support/shop/shop.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../test/support/temporal/time-skipping-server.js';
import { useWorker } from '../../test/support/temporal/use-worker.js';
import '../../test/support/setup/quiet-runtime.js';
import { Cloud, type Activities } from './cloud.js';
import type { provisionServer } from './workflow.js';

const taskQueue = 'provisioning';
const steps = ['createServer', 'attachVolume', 'configureServer'] as const;
const compensations = ['resetConfiguration', 'detachVolume', 'deleteServer'] as const;

describeWithTimeSkipping('the provisioning of a server', () => {
  const { cloud, provision } = useCloud(startTimeSkippingServer);

  test('runs the steps in order', async () => {
    const serverId = randomUUID();
    await (await provision(serverId)).result();

    expect(cloud.effectsOn(serverId)).toEqual(steps);
    expect(cloud.resourcesOf(serverId)).toEqual(['server', 'volume', 'configuration']);
  });

  test.each<[keyof Activities, string[]]>([
    ['createServer', []],
    ['attachVolume', ['createServer', 'deleteServer']],
    ['configureServer', ['createServer', 'attachVolume', 'detachVolume', 'deleteServer']],
  ])('fails and removes what exists when %s is rejected', async (step, effects) => {
    const serverId = randomUUID();
    cloud.fail(step, serverId, 'rejected');

    await expect((await provision(serverId)).result()).rejects.toMatchObject({
      cause: { cause: { type: 'QuotaExceeded' } },
    });
    expect(cloud.effectsOn(serverId)).toEqual(effects);
  });

  test.each(steps)('removes everything when %s takes effect but its responses are lost', async (step) => {
    const serverId = randomUUID();
    cloud.fail(step, serverId, 'response lost');

    await expect((await provision(serverId)).result()).rejects.toThrow('Workflow execution failed');
    const done = steps.slice(0, steps.indexOf(step) + 1);
    expect(cloud.effectsOn(serverId)).toEqual([...done, ...compensations.slice(-done.length)]);
    expect(cloud.resourcesOf(serverId)).toEqual([]);
  });

  test('retries a step whose response is lost once, without a second effect', async () => {
    const serverId = randomUUID();
    cloud.fail('attachVolume', serverId, 'response lost', 1);
    await (await provision(serverId)).result();

    expect(cloud.effectsOn(serverId)).toEqual(steps);
  });

  test('retries a compensation until it succeeds, and deletes the server only after its volume is detached', async () => {
    const serverId = randomUUID();
    cloud.fail('configureServer', serverId, 'rejected');
    // Each hour has three attempts.
    cloud.fail('detachVolume', serverId, 'unreachable', 7);

    await expect((await provision(serverId)).result()).rejects.toThrow('Workflow execution failed');
    expect(cloud.effectsOn(serverId)).toEqual(['createServer', 'attachVolume', 'detachVolume', 'deleteServer']);
  });
});

describeOnDevServer('the cancellation of a provisioning', () => {
  const { cloud, provision } = useCloud(startDevServer);

  async function cancelDuring(step: keyof Activities, serverId: string) {
    const handle = await provision(serverId);
    await waitUntil(() => cloud.hasReceived(step, serverId) || undefined, { description: step, timeoutMs: 20_000 });
    await handle.cancel();
    return handle;
  }

  test('removes everything that may exist, last step first', async () => {
    const serverId = randomUUID();
    cloud.fail('configureServer', serverId, 'unreachable');
    const handle = await cancelDuring('configureServer', serverId);

    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    expect(cloud.effectsOn(serverId)).toEqual(['createServer', 'attachVolume', 'detachVolume', 'deleteServer']);
  });

  test('waits for the running step before it compensates', async () => {
    const serverId = randomUUID();
    cloud.fail('attachVolume', serverId, 'slow');
    const handle = await cancelDuring('attachVolume', serverId);

    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    expect(cloud.effectsOn(serverId)).toEqual(['createServer', 'attachVolume', 'detachVolume', 'deleteServer']);
  });

  test('has no effect when the last step completes in spite of it', async () => {
    const serverId = randomUUID();
    cloud.fail('configureServer', serverId, 'slow');
    await (await cancelDuring('configureServer', serverId)).result();

    expect(cloud.effectsOn(serverId)).toEqual(steps);
  });
});

function useCloud(startServer: () => Promise<TemporalServer>) {
  const cloud = new Cloud();
  const tests = useWorker(startServer, async ({ nativeConnection, namespace }) =>
    Worker.create({
      connection: nativeConnection,
      namespace,
      taskQueue,
      activities: cloud.activities,
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
      }),
    }),
  );
  const provision = (serverId: string) =>
    tests.server.client.workflow.start<typeof provisionServer>('provisionServer', {
      taskQueue,
      workflowId: `server:${serverId}`,
      args: [serverId],
    });
  return { cloud, provision };
}
