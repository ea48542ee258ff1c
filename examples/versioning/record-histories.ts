import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { runCommand } from '../../tools/processes/commands.js';
import { freePort } from '../../tools/processes/ports.js';
import { writeHistory } from '../../tools/recordings/history-file.js';
import { eventTypeName } from '../../tools/replay/history-events.js';
import { createReporter } from '../../tools/terminal/reporter.js';
import { loadSettings } from '../../tools/settings/settings.js';
import { findTemporalCli } from '../../tools/servers/programs/temporal-cli.js';
import { startTemporalDevServer } from '../../tools/servers/temporal/temporal-dev-server.js';
import { waitUntil } from '../../tools/processes/wait.js';
import { releaseSignal } from './steps.js';
import { bundleExample, createWorker, DEPLOYMENT_NAME, TASK_QUEUE } from './worker.js';

/**
 * Records the histories of the versioning examples again, on a dev server: `node tools/run.mjs
 * examples/versioning/record-histories.ts`
 */
const report = createReporter();
Runtime.install({ logger: new DefaultLogger('WARN') });
const namespace = 'default';
const { path: cli } = await findTemporalCli({ settings: loadSettings(), report });
const server = await startTemporalDevServer({ cliPath: cli, port: await freePort(), namespace });
const { address } = server;
const nativeConnection = await NativeConnection.connect({ address });
const connection = await Connection.connect({ address });
const client = new Client({ connection, namespace });

const historyPath = (part: string, name: string) => join(import.meta.dirname, part, 'histories', `${name}.json`);

/** Starts a parcel and waits until it is packed. */
async function startPackedParcel(type: string, id: string): Promise<WorkflowHandle> {
  const options = { workflowId: `parcel:${id}`, taskQueue: TASK_QUEUE, args: [id] };
  const handle = await client.workflow.start(type, options);
  const isPacked = async () => {
    const types = ((await handle.fetchHistory()).events ?? []).map(eventTypeName);
    return types.lastIndexOf('WorkflowTaskCompleted') > types.indexOf('ActivityTaskCompleted') || undefined;
  };
  await waitUntil(isPacked, { description: `${handle.workflowId} packed`, timeoutMs: 30_000 });
  return handle;
}

async function release(handle: WorkflowHandle): Promise<void> {
  await handle.signal(releaseSignal);
  await handle.result();
}

async function withWorker(workflows: string, work: () => Promise<void>, buildId?: string): Promise<void> {
  const workflowBundle = await bundleExample(workflows);
  const worker = await createWorker({
    connection: nativeConnection,
    namespace,
    workflowBundle,
    ...(buildId !== undefined && { buildId }),
  });
  await worker.runUntil(work);
}

async function recordPatch(): Promise<void> {
  for (const stage of ['1-original', '2-patched', '3-deprecated', '4-removed']) {
    await withWorker(`patch/${stage}.ts`, async () => {
      const handle = await startPackedParcel('parcel', stage);
      if (stage === '1-original') await writeHistory(historyPath('patch', '0-waiting'), handle);
      await release(handle);
      await writeHistory(historyPath('patch', stage), handle);
    });
  }
}

async function recordNewType(): Promise<void> {
  await withWorker('new-type/2-both-types.ts', async () => {
    for (const type of ['parcel', 'parcelV2']) {
      const handle = await startPackedParcel(type, type);
      await release(handle);
      await writeHistory(historyPath('new-type', type), handle);
    }
  });
}

async function makeCurrent(buildId: string): Promise<void> {
  const args = ['set-current-version', '--deployment-name', DEPLOYMENT_NAME, '--build-id', buildId, '--yes'];
  const run = () =>
    runCommand({
      name: 'temporal worker deployment set-current-version',
      command: cli,
      args: ['worker', 'deployment', ...args, '--address', address],
      timeoutMs: 20_000,
    });
  await waitUntil(run, { description: `version ${buildId} becoming current`, timeoutMs: 60_000 });
}

async function recordWorkerDeployment(): Promise<void> {
  const record = async (name: string, handle: WorkflowHandle) => {
    await release(handle);
    await writeHistory(historyPath('worker-deployment', name), handle);
  };
  await withWorker(
    'worker-deployment/version-1.ts',
    async () => {
      await makeCurrent('1');
      await record('upgrading-1', await startPackedParcel('upgradingParcel', 'upgrading-1'));
      const pinned = await startPackedParcel('pinnedParcel', 'pinned-1');
      const moving = await startPackedParcel('upgradingParcel', 'upgrading-1-2');
      await withWorker(
        'worker-deployment/version-2.ts',
        async () => {
          await makeCurrent('2');
          await record('pinned-1', pinned);
          await record('upgrading-1-2', moving);
          await record('pinned-2', await startPackedParcel('pinnedParcel', 'pinned-2'));
        },
        '2',
      );
    },
    '1',
  );
}

try {
  await report.withProgress('patch', recordPatch);
  await report.withProgress('new type', recordNewType);
  await report.withProgress('worker deployment', recordWorkerDeployment);
} finally {
  await nativeConnection.close();
  await connection.close();
  await server.stop();
}
process.exit(0);
