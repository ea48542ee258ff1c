import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InterceptingCall } from '@grpc/grpc-js';
import { Context } from '@temporalio/activity';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { workflowInfo } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import '../support/setup/quiet-runtime.js';
import { escapeForPattern } from '../support/docs/output-pattern.js';
import { projectRoot, waitUntil } from '../support/processes.js';
import { recordedHistories } from '../support/replay/recorded-histories.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';

/** The sections of docs/symptoms.md by title. The value is the error text, in which `…` stands for any text. */
const page = new Map(
  readFileSync(join(projectRoot, 'docs/symptoms.md'), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), /```text\n([^]*?)\n```/.exec(section)?.[1] ?? '']),
);
const testedTitles: string[] = [];

/** Defines a test that reproduces a symptom. The reproduction must return the error text that the page shows. */
function testSymptom(title: string, reproduce: () => Promise<string>): void {
  testedTitles.push(title);
  test(`reproduces the symptom "${title}"`, { timeout: 60_000 }, async () => {
    const shown = page.get(title);
    expect(shown, `docs/symptoms.md has no section "${title}" with an error text`).toBeTruthy();
    expect(normalizeSpace(await reproduce())).toMatch(patternOf(shown!));
  });
}

const normalizeSpace = (text: string) => text.replace(/\s+/g, ' ');

function patternOf(shown: string): RegExp {
  const parts = normalizeSpace(shown).split('…');
  return new RegExp(parts.map((part) => escapeForPattern(part.trim())).join('.*'));
}

/** Returns the messages of an error and its causes. */
async function errorTextOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    const messages: string[] = [];
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) messages.push(cause.message);
    return messages.join('\n');
  }
  throw new Error('the reproduction has not failed');
}

const workflowsPath = fileURLToPath(new URL('symptoms.workflows.ts', import.meta.url));

describe('symptoms of the bundler', () => {
  // Inside the project, so that the bundler finds the SDK.
  const folder = mkdtempSync(join(projectRoot, 'node_modules/.symptoms-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Bundles a workflow module. @returns the error and the output of the bundler. */
  async function bundlerErrorOf(source: string): Promise<string> {
    const path = join(folder, `${randomUUID()}.mjs`);
    writeFileSync(path, source);
    const lines: string[] = [];
    const logger = new DefaultLogger('ERROR', ({ message }) => lines.push(message));
    return `${await errorTextOf(() => bundleWorkflowCode({ workflowsPath: path, logger }))}\n${lines.join('\n')}`;
  }

  testSymptom('Bundler: module not found', () =>
    bundlerErrorOf(`import './price.js';\nexport async function order() {}`),
  );

  testSymptom('Bundler: disallowed modules', () =>
    bundlerErrorOf(`import fs from 'fs';\nexport async function order() { fs.readFileSync('prices'); }`),
  );
});

describe('symptoms outside a workflow or an activity', () => {
  testSymptom('Activity context not initialized', () => errorTextOf(() => Context.current()));

  testSymptom('May only be used from a Workflow Execution', () => errorTextOf(() => workflowInfo()));
});

describe('symptoms of payloads', () => {
  testSymptom('Payload converter not found', async () => {
    const createClient = (payloadConverterPath: string) => () =>
      new Client({ connection: Connection.lazy(), dataConverter: { payloadConverterPath } });
    const withoutFile = await errorTextOf(createClient(join(projectRoot, 'src/payload-converter.js')));
    const withoutExport = await errorTextOf(createClient(join(projectRoot, 'eslint.config.js')));
    return `${withoutFile}\n${withoutExport}`;
  });

  testSymptom('Unable to convert to payload', () =>
    errorTextOf(() => defaultPayloadConverter.toPayload({ total: 1n }) ?? 'none'),
  );

  testSymptom('Unknown encoding', () =>
    errorTextOf(() =>
      defaultPayloadConverter.fromPayload({ metadata: { encoding: Buffer.from('binary/encrypted') }, data: null }),
    ),
  );
});

describe('symptoms of replay', () => {
  testSymptom('[TMPRL1100] Nondeterminism error', async () => {
    const { code } = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('../replay/fixtures/incompatible.workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    const { history, workflowId } = recordedHistories.find(({ file }) => file.endsWith('order-completed.json'))!;
    return await errorTextOf(() => Worker.runReplayHistory({ workflowBundle: { code } }, history, workflowId));
  });
});

describe('symptoms of connections', () => {
  testSymptom('Failed to connect before the deadline', () =>
    errorTextOf(() => Connection.connect({ address: '127.0.0.1:1', connectTimeout: 500 })),
  );

  testSymptom('Worker: connection refused', () =>
    errorTextOf(() => NativeConnection.connect({ address: '127.0.0.1:1' })),
  );
});

describeOnDevServer('symptoms on a server', () => {
  let server: DevServer;
  let connection: Connection;
  let client: Client;
  let worker: Worker;
  let running: Promise<void>;
  const taskQueue = 'symptoms';
  const options = {
    taskQueue,
    activities: { charge: () => Promise.resolve() },
  } satisfies WorkerOptions;
  let workflowBundle: { code: string };

  beforeAll(async () => {
    server = await startDevServer({ dynamicConfig: ['history.maxTotalUpdates=2'] });
    connection = await Connection.connect({ address: server.address });
    client = new Client({ connection });
    workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
    worker = await Worker.create({ ...options, connection: server.nativeConnection, workflowBundle });
    running = worker.run();
  }, 120_000);
  afterAll(async () => {
    worker?.shutdown();
    await running;
    await connection?.close();
    await server?.close();
  });

  const start = (type: string, queue = taskQueue): Promise<WorkflowHandle> =>
    client.workflow.start(type, { taskQueue: queue, workflowId: randomUUID() });

  /** Starts a workflow whose workflow task fails. @returns the failure in the history. */
  async function taskFailureOf(type: string | (() => Promise<unknown>)): Promise<string> {
    const handle = await client.workflow.start(type, { taskQueue, workflowId: randomUUID() });
    const failure = await waitUntil(
      async () => {
        const { events = [] } = await handle.fetchHistory();
        return events!.flatMap((event) => event.workflowTaskFailedEventAttributes?.failure?.message ?? []).at(-1);
      },
      { description: 'a failed workflow task', timeoutMs: 30_000 },
    );
    expect((await handle.describe()).status.name).toBe('RUNNING');
    await handle.terminate();
    return failure;
  }

  testSymptom('No such function is exported by the workflow bundle', () => taskFailureOf('orders'));

  testSymptom('Workflow types are minified by a web bundler', () => {
    const minified = Object.defineProperty(async () => undefined, 'name', { value: 'r' });
    return taskFailureOf(minified);
  });

  testSymptom('Script execution timed out', () => taskFailureOf('runWithoutAwait'));

  testSymptom('WeakRef cannot be used in workflows', () => taskFailureOf('useWeakRef'));

  testSymptom('A workflow never fails although it throws', () => taskFailureOf('throwTypeError'));

  testSymptom('Activity function is not registered on this Worker', async () => {
    const handle = await start('callUnregisteredActivity');
    return await errorTextOf(() => handle.result());
  });

  testSymptom('A worker polls nothing', async () => {
    const handle = await start('waitForever', 'symptom');
    const { raw, status } = await handle.describe();
    expect(status.name).toBe('RUNNING');
    const { events = [] } = await handle.fetchHistory();
    await handle.terminate();
    const names = events!.map(({ workflowExecutionStartedEventAttributes: started }) =>
      started ? 'WorkflowExecutionStarted' : 'WorkflowTaskScheduled',
    );
    return `${names.join('\n')}\npending workflow task, attempt ${raw.pendingWorkflowTask?.attempt}`;
  });

  testSymptom('Namespace not found', async () => {
    const wrong = new Client({ connection, namespace: 'other-shop' });
    const ofClient = await errorTextOf(() => wrong.workflow.start('waitForever', { taskQueue, workflowId: 'any' }));
    const ofWorker = await errorTextOf(async () => {
      const lost = await Worker.create({
        ...options,
        connection: server.nativeConnection,
        namespace: 'other-shop',
        workflowBundle,
      });
      await lost.run();
    });
    return `${ofClient}\n${ofWorker}`;
  });

  testSymptom('A query hangs without a worker', async () => {
    const handle = await start('waitForever', 'nobody');
    const query = () => errorTextOf(() => connection.withDeadline(Date.now() + 1_000, () => handle.query('view')));
    // The client reports some deadlines as CANCELLED.
    const text = await waitUntil(
      async () => {
        const error = await query();
        return error.includes('CANCELLED') ? undefined : error;
      },
      { description: 'an error other than CANCELLED', timeoutMs: 20_000 },
    );
    await handle.terminate();
    return text;
  });

  testSymptom('Workflow did not register a handler', async () => {
    const handle = await start('waitForever');
    return await errorTextOf(() => handle.query('status'));
  });

  testSymptom('No registered handler for update', async () => {
    const handle = await start('waitForever');
    return await errorTextOf(() => handle.executeUpdate('add'));
  });

  testSymptom('Update limit', async () => {
    const handle = await start('waitForever');
    return await errorTextOf(async () => {
      for (let n = 0; n < 10; n += 1) await handle.executeUpdate('touch', { updateId: String(n) });
    });
  });

  testSymptom('Workflow execution already started', async () => {
    const { workflowId } = await start('waitForever');
    return await errorTextOf(() => client.workflow.start('waitForever', { taskQueue, workflowId }));
  });

  testSymptom('No mapping defined for search attribute', () =>
    errorTextOf(() =>
      client.workflow.start('waitForever', {
        taskQueue,
        workflowId: randomUUID(),
        searchAttributes: { OrderState: ['open'] },
      }),
    ),
  );

  testSymptom('undefined undefined: undefined', async () => {
    const broken = Connection.lazy({
      address: server.address,
      interceptors: [
        (options, nextCall) =>
          new InterceptingCall(nextCall(options), {
            start: (metadata, _listener, next) =>
              next(metadata, { onReceiveStatus: (_status, pass) => pass(new Error('lost') as never) }),
          }),
      ],
    });
    try {
      return await errorTextOf(() => new Client({ connection: broken }).workflow.getHandle('any').describe());
    } finally {
      await broken.close();
    }
  });
});

test('reproduces every symptom of docs/symptoms.md', () => {
  expect([...page.keys()].sort()).toEqual([...testedTitles].sort());
});
