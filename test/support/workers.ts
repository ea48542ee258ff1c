import { isDeepStrictEqual } from 'node:util';
import { inject } from 'vitest';
import { startProcess, typescript, type Exit, type ManagedProcess } from '../../tools/processes/processes.js';
import { nothingOfTheShell } from '../../tools/stack/settings.js';
import { waitUntil } from '../../tools/processes/wait.js';
import type { Operations } from '../../src/batch-operations/index.js';
import { createPayloadCodec, tolerant } from '../../src/temporal/encryption/codec.js';
import { createClient } from '../../src/temporal/connections.js';
import { bundleOfFlavour } from '../../src/temporal/workflow-bundle.js';
import type { WorkersOptions } from '../../src/temporal/workers.js';
import { activitiesOf, approvalEnvironment } from './activities.js';
import { createWorkers } from './create-workers.js';
import type { DevServer } from './dev-server.js';
import { readKeys } from './encryption.js';
import { goesOnUnseen } from './replays.js';
import type { Shop, TemporalServer } from './shop.js';

interface WorkerChoices extends Partial<Omit<WorkersOptions, 'connection' | 'namespace' | 'activities'>> {
  operations?: Operations;
}

/** Starts a worker in this process, for a shop that was opened without one. */
export async function startWorker(
  server: TemporalServer,
  { store, outside }: Shop,
  { operations, ...choices }: WorkerChoices = {},
): Promise<{ stop: () => Promise<void> }> {
  const workers = await createWorkers({
    connection: server.nativeConnection,
    namespace: server.namespace,
    workflowBundle: { codePath: inject('workflowBundle') },
    batchTasksAtOnce: 4,
    ...choices,
    activities: activitiesOf({ store, outside, ...(operations && { operations }) }),
  });
  const running = workers.run();
  return {
    async stop() {
      workers.shutdown();
      await running;
    },
  };
}

/** The worker processes as one: each method applies to all of them. */
export type WorkerProcess = Pick<ManagedProcess, 'kill' | 'stop' | 'exited' | 'tail'>;

/** The worker as in production: src/worker.ts in separate processes. Resolves when they poll. */
export async function startWorkerProcess(
  server: Pick<DevServer, 'address' | 'namespace'>,
  shop: Pick<Shop, 'databaseUrl' | 'outside'>,
  env: Record<string, string> = {},
): Promise<WorkerProcess> {
  const processes = await Promise.all(
    Array.from({ length: inject('replicas') }, () => startOneWorkerProcess(server, shop, env)),
  );
  return {
    kill: (signal) => processes.map((process) => process.kill(signal)).every(Boolean),
    stop: (graceMs) => sameEnd(processes.map((process) => process.stop(graceMs))),
    get exited() {
      return sameEnd(processes.map(({ exited }) => exited));
    },
    tail: () => processes.map((process) => process.tail()).join('\n'),
  };
}

/** @throws when they did not all end in the same way. */
async function sameEnd(exits: Promise<Exit>[]): Promise<Exit> {
  const [first, ...others] = (await Promise.all(exits)) as [Exit, ...Exit[]];
  if (others.every((exit) => isDeepStrictEqual(exit, first))) return first;
  throw new Error(`the workers ended differently: ${JSON.stringify([first, ...others])}`);
}

/** Starts one worker process, even if the run has replicas. `lines` receives its output. */
export async function startOneWorkerProcess(
  { address, namespace }: Pick<DevServer, 'address' | 'namespace'>,
  { databaseUrl, outside }: Pick<Shop, 'databaseUrl' | 'outside'>,
  env: Record<string, string> = {},
  { lines = [] }: { lines?: string[] } = {},
): Promise<ManagedProcess> {
  const { PAYLOAD_ENCRYPTION_KEYS: encrypted } = env;
  const keys = encrypted === undefined ? [] : readKeys(encrypted);
  const codePath = bundleOfFlavour(inject('workflowBundle'), { encrypted: keys.length > 0 });
  goesOnUnseen(`${address} ${namespace}`, {
    client: () =>
      createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, PAYLOAD_ENCRYPTION_KEYS: keys }),
    author: {
      workflowBundle: { codePath },
      payloadCodecs: keys.length ? [tolerant(createPayloadCodec({ keys, namespace }))] : [],
    },
  });
  let polls = false;
  let ended = false;
  const worker = await startProcess({
    name: 'worker',
    ...typescript('src/worker.ts'),
    env: {
      ...nothingOfTheShell,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: databaseUrl,
      PAYMENTS_URL: outside.paymentsUrl,
      CARRIER_URL: outside.carrierUrl,
      ...approvalEnvironment(outside),
      WORKFLOW_BUNDLE: inject('workflowBundle'),
      SHUTDOWN_GRACE_SECONDS: '5',
      LOG_LEVEL: 'info',
      ...env,
    },
    onLine: (line) => {
      lines.push(line);
      polls ||= line.includes('"state":"RUNNING"');
    },
  });
  void worker.exited.then(() => (ended = true));
  await waitUntil(() => polls || undefined, {
    what: 'the worker polling',
    deadlineMs: 60_000,
    giveUp: () => {
      if (ended) throw new Error(`the worker ended:\n${worker.tail()}`);
    },
  });
  return worker;
}
