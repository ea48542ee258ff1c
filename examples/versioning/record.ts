import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { runCommand } from '../../tools/processes/commands.js';
import { freePort } from '../../tools/processes/ports.js';
import { writeHistory } from '../../tools/recordings/history-file.js';
import { typeOf } from '../../tools/replay/events.js';
import { streamReport } from '../../tools/terminal/report.js';
import { loadSettings } from '../../tools/stack/settings.js';
import { findTemporalCli } from '../../tools/servers/programs/temporal-cli.js';
import { startTemporalServer } from '../../tools/servers/temporal/dev-server.js';
import { waitUntil } from '../../tools/processes/wait.js';
import { releaseSignal } from './steps.js';
import { bundleOf, createWorker, DEPLOYMENT_NAME, TASK_QUEUE } from './worker.js';

/**
 * Records the histories of this example again, on its own dev server: `node tools/run.mjs examples/versioning/record.ts`
 */
const report = streamReport();
Runtime.install({ logger: new DefaultLogger('WARN') });
const namespace = 'default';
const { path: cli } = await findTemporalCli({ settings: loadSettings(), report });
const server = await startTemporalServer({ cli, port: await freePort(), namespace });
const { address } = server;
const nativeConnection = await NativeConnection.connect({ address });
const connection = await Connection.connect({ address });
const client = new Client({ connection, namespace });

const fileOf = (part: string, name: string) => join(import.meta.dirname, part, 'histories', `${name}.json`);

/** Starts a parcel and waits until it is packed. */
async function packed(type: string, id: string): Promise<WorkflowHandle> {
  const options = { workflowId: `parcel:${id}`, taskQueue: TASK_QUEUE, args: [id] };
  const handle = await client.workflow.start(type, options);
  const isPacked = async () => {
    const types = ((await handle.fetchHistory()).events ?? []).map(typeOf);
    return types.lastIndexOf('WorkflowTaskCompleted') > types.indexOf('ActivityTaskCompleted') || undefined;
  };
  await waitUntil(isPacked, { what: `${handle.workflowId} packed`, deadlineMs: 30_000 });
  return handle;
}

async function release(handle: WorkflowHandle): Promise<void> {
  await handle.signal(releaseSignal);
  await handle.result();
}

async function withWorker(workflows: string, work: () => Promise<void>, buildId?: string): Promise<void> {
  const workflowBundle = await bundleOf(workflows);
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
      const handle = await packed('parcel', stage);
      if (stage === '1-original') await writeHistory(fileOf('patch', '0-waiting'), handle);
      await release(handle);
      await writeHistory(fileOf('patch', stage), handle);
    });
  }
}

async function recordNewType(): Promise<void> {
  await withWorker('new-type/2-both-types.ts', async () => {
    for (const type of ['parcel', 'parcelV2']) {
      const handle = await packed(type, type);
      await release(handle);
      await writeHistory(fileOf('new-type', type), handle);
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
      limitMs: 20_000,
    });
  await waitUntil(run, { what: `version ${buildId} becoming current`, deadlineMs: 60_000 });
}

async function recordWorkerDeployment(): Promise<void> {
  const record = async (name: string, handle: WorkflowHandle) => {
    await release(handle);
    await writeHistory(fileOf('worker-deployment', name), handle);
  };
  await withWorker(
    'worker-deployment/version-1.ts',
    async () => {
      await makeCurrent('1');
      await record('upgrading-1', await packed('upgradingParcel', 'upgrading-1'));
      const pinned = await packed('pinnedParcel', 'pinned-1');
      const moving = await packed('upgradingParcel', 'upgrading-1-2');
      await withWorker(
        'worker-deployment/version-2.ts',
        async () => {
          await makeCurrent('2');
          await record('pinned-1', pinned);
          await record('upgrading-1-2', moving);
          await record('pinned-2', await packed('pinnedParcel', 'pinned-2'));
        },
        '2',
      );
    },
    '1',
  );
}

try {
  await report.during('patch', recordPatch);
  await report.during('new type', recordNewType);
  await report.during('worker deployment', recordWorkerDeployment);
} finally {
  await nativeConnection.close();
  await connection.close();
  await server.stop();
}
process.exit(0);
