import { isDeepStrictEqual } from 'node:util';
import { inject } from 'vitest';
import {
  type ExitStatus,
  type ManagedProcess,
  startProcess,
  typescriptCommand,
  unsetShellVariables,
  waitUntil,
} from '../processes.js';
import type { Operations } from '../../../src/batch-operations/index.js';
import { createPayloadCodec, createWorkerCodec } from '../../../src/temporal/encryption/codec.js';
import { createClient } from '../../../src/temporal/connections.js';
import { bundlePath } from '../../../src/temporal/workflow-bundle.js';
import type { WorkersOptions } from '../../../src/temporal/workers.js';
import { createTestActivities, approvalEnvironment } from '../shop/test-activities.js';
import { createTestWorkers } from './create-test-workers.js';
import type { DevServer } from '../temporal/dev-server.js';
import { parseEncryptionKeys } from '../temporal/encryption.js';
import { trackNamespace } from '../replay/run-tracker.js';
import type { Shop, TemporalServer } from '../shop/shop.js';

type StartWorkerOptions = Partial<Omit<WorkersOptions, 'connection' | 'namespace' | 'activities'>> & {
  operations?: Operations;
};

/** Starts a worker in this process, for a shop that was started without a worker. */
export async function startWorker(
  server: TemporalServer,
  { store, fakes }: Shop,
  { operations, ...choices }: StartWorkerOptions = {},
): Promise<{ stop: () => Promise<void> }> {
  const workers = await createTestWorkers({
    connection: server.nativeConnection,
    namespace: server.namespace,
    workflowBundle: { codePath: inject('workflowBundle') },
    batchConcurrentChunks: 4,
    ...choices,
    activities: createTestActivities({ store, fakes, ...(operations && { operations }) }),
  });
  const running = workers.run();
  return {
    async stop() {
      workers.shutdown();
      await running;
    },
  };
}

/** All worker processes of a test. Each method applies to every process. */
export type WorkerProcess = Pick<ManagedProcess, 'kill' | 'stop' | 'exited' | 'lastOutput'>;

/**
 * Starts the worker as in production: src/worker.ts in separate processes, one per replica. Resolves when all of them
 * poll.
 */
export async function startWorkerProcess(
  server: Pick<DevServer, 'address' | 'namespace'>,
  shop: Pick<Shop, 'databaseUrl' | 'fakes'>,
  env: Record<string, string> = {},
): Promise<WorkerProcess> {
  const processes = await Promise.all(
    Array.from({ length: inject('replicas') }, () => startSingleWorkerProcess(server, shop, env)),
  );
  return {
    kill: (signal) => processes.map((process) => process.kill(signal)).every(Boolean),
    stop: (graceMs) => commonExit(processes.map((process) => process.stop(graceMs))),
    get exited() {
      return commonExit(processes.map(({ exited }) => exited));
    },
    lastOutput: () => processes.map((process) => process.lastOutput()).join('\n'),
  };
}

/** Returns the exit status of the processes. @throws when their exit statuses differ. */
async function commonExit(exits: Promise<ExitStatus>[]): Promise<ExitStatus> {
  const [first, ...others] = (await Promise.all(exits)) as [ExitStatus, ...ExitStatus[]];
  if (others.every((exit) => isDeepStrictEqual(exit, first))) return first;
  throw new Error(`the workers exited differently: ${JSON.stringify([first, ...others])}`);
}

/**
 * Starts exactly one worker process, even if the run has replicas. `lines` receives its output. `isReplayed` is false for
 * a test whose workers run different code.
 */
export async function startSingleWorkerProcess(
  { address, namespace }: Pick<DevServer, 'address' | 'namespace'>,
  { databaseUrl, fakes }: Pick<Shop, 'databaseUrl' | 'fakes'>,
  env: Record<string, string> = {},
  { lines = [], isReplayed = true }: { lines?: string[]; isReplayed?: boolean } = {},
): Promise<ManagedProcess> {
  const { PAYLOAD_ENCRYPTION_KEYS: encrypted, APPROVAL_NAMESPACE } = env;
  const peerNamespaces = APPROVAL_NAMESPACE === undefined ? [] : [APPROVAL_NAMESPACE];
  const keys = encrypted === undefined ? [] : parseEncryptionKeys(encrypted);
  const codePath = bundlePath(inject('workflowBundle'), { encrypted: keys.length > 0 });
  const tracked = {
    client: () =>
      createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, PAYLOAD_ENCRYPTION_KEYS: keys }),
    code: {
      workflowBundle: { codePath },
      payloadCodecs: keys.length ? [createWorkerCodec(createPayloadCodec({ keys, namespace, peerNamespaces }))] : [],
    },
  };
  if (isReplayed) trackNamespace(`${address} ${namespace}`, tracked);
  let polls = false;
  let ended = false;
  const worker = await startProcess({
    name: 'worker',
    ...typescriptCommand('src/worker.ts'),
    env: {
      ...unsetShellVariables,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: databaseUrl,
      PAYMENTS_URL: fakes.paymentsUrl,
      CARRIER_URL: fakes.carrierUrl,
      ...approvalEnvironment(fakes),
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
    description: 'the worker polling',
    timeoutMs: 60_000,
    throwIfFailed: () => {
      if (ended) throw new Error(`the worker exited:\n${worker.lastOutput()}`);
    },
  });
  return worker;
}
