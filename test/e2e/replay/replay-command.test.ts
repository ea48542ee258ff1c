import { randomUUID } from 'node:crypto';
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runReplay } from '../../../tools/replay/run-replay.js';
import { createWorkerDataConverter } from '../../../src/temporal/encryption/data-converters.js';
import { CART_TASK_QUEUE, cartQuery, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderQuery, orderWorkflowId, ORDER_TASK_QUEUE } from '../../../src/workflows/order/contract.js';
import { freePort, startProcess, typescriptCommand, waitUntil } from '../../support/processes.js';
import { createTestActivities } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import {
  generateEncryptionKey,
  createEncryptingClient,
  parseEncryptionKeys,
} from '../../support/temporal/encryption.js';
import { withTypeScriptRequire } from '../../support/workers/create-test-workers.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

interface CommandOutcome {
  code: number | null;
  /** The output of the command, including stderr. */
  output: string;
}

/** Runs `npm run replay` with an environment that contains no server settings. */
const replay = (...args: string[]) => replayWith({}, ...args);

async function replayWith(env: Record<string, string>, ...args: string[]): Promise<CommandOutcome> {
  const lines: string[] = [];
  const recordLine = (line: string) => void lines.push(line);
  const code = await runReplay(args, { env, print: recordLine, printError: recordLine });
  return { code, output: lines.join('\n') };
}

/** Runs the command as a separate process, which costs seconds of CPU time. */
async function replayInProcess(...args: string[]): Promise<CommandOutcome> {
  const lines: string[] = [];
  const command = await startProcess({
    name: 'replay',
    ...typescriptCommand('tools/replay/main.ts', ...args),
    env: { TEMPORAL_ADDRESS: undefined, TEMPORAL_NAMESPACE: undefined, PAYLOAD_ENCRYPTION_KEYS: undefined },
    onLine: (line) => lines.push(line),
  });
  const { code } = await command.exited;
  return { code, output: lines.join('\n') };
}

/** Uses the existing bundle, so that the command does not bundle the workflows again. */
const CURRENT_BUNDLE_ARGS = ['--bundle', inject('workflowBundle')];

describe('the command line of npm run replay', () => {
  test.each([
    [['--from-sever'], "Unknown option '--from-sever'"],
    [['--limit', '5'], '--limit requires --from-server'],
    [['--skip-committed'], '--skip-committed requires --from-server'],
    [['--from-server', '--history', 'a.json'], '--history and --from-server exclude each other'],
    [['--from-server', '--limit', '0'], '--limit 0: must be an integer from 1 to 10000'],
    [['--from-server', '--limit', 'many'], '--limit many: must be an integer'],
    [['today'], 'Unexpected argument'],
  ])('exits with 2 and prints the error and the usage for %j', async (args, told) => {
    const { code, output } = await replay(...args);

    expect(output).toContain(told);
    expect(output).toContain('Usage: npm run replay');
    expect(code).toBe(2);
  });

  test('replays only the histories in the given files', async () => {
    const file = 'test/replay/histories/0001/order-completed.json';
    const { code, output } = await replay(...CURRENT_BUNDLE_ARGS, '--history', file);

    expect(output).toBe('1 histories in the given files: 1 order; none differ from the code');
    expect(code).toBe(0);
  });

  test('exits with 2 when a given file contains no history', async () => {
    const { code, output } = await replay(...CURRENT_BUNDLE_ARGS, '--history', 'package.json');

    expect(output).toContain('package.json contains no history');
    expect(code).toBe(2);
  });

  test('exits with 2 when the bundle is missing', async () => {
    const { code, output } = await replayInProcess('--bundle', '/nowhere/bundle.js');

    expect(output).toContain('/nowhere/bundle.js');
    expect(code).toBe(2);
  });

  test('exits with 2 and prints the address when the server does not respond', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const { code, output } = await replay(...CURRENT_BUNDLE_ARGS, '--from-server', '--address', address);

    expect(output).toContain(address);
    expect(code).toBe(2);
  });

  test('without --from-server, replays the committed histories', async () => {
    const { code, output } = await replayInProcess(...CURRENT_BUNDLE_ARGS);

    expect(output).toMatch(/^\d+ histories committed: .*\d+ order\b.*; none differ from the code$/);
    expect(code).toBe(0);
  });
});

describeOnDevServer('npm run replay -- --from-server', () => {
  let server: DevServer;
  let shop: Shop;
  let folder: string;
  let incompatible: string[];
  const orderIds = [randomUUID(), randomUUID(), randomUUID()];

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server);
    const { sku } = await addProduct(shop.store);
    for (const orderId of orderIds) await placeOrderAwaitingPickup(orderId, sku);
    await shop.client.workflow.start('cart', {
      workflowId: cartWorkflowId('an-open-one'),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId: 'an-open-one' }],
    });
    const isFound = async () =>
      (await shop.client.workflow.count(`ExecutionStatus = 'Running'`)).count >= 4 || undefined;
    await waitUntil(isFound, { description: 'all runs in visibility', timeoutMs: 20_000 });

    folder = await mkdtemp(join(tmpdir(), 'replay-'));
    const { code } = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('../../replay/fixtures/incompatible.workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    incompatible = ['--bundle', join(folder, 'incompatible.js')];
    await writeFile(incompatible[1]!, code);
  });
  afterAll(async () => {
    await shop?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function placeOrderAwaitingPickup(orderId: string, sku: string): Promise<void> {
    const handle = await shop.client.workflow.start('order', {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [makeOrder({ orderId, lines: [{ sku, quantity: 1 }] })],
    });
    const awaitsPickup = async () => (await handle.query(orderQuery)).stage === 'awaiting_pickup' || undefined;
    await waitUntil(awaitsPickup, { description: 'an order under way', timeoutMs: 20_000 });
  }

  const fromServer = (bundle: string[], ...options: string[]) =>
    replay(...bundle, '--from-server', '--address', server.address, '--namespace', server.namespace, ...options);

  const lastLine = ({ output }: CommandOutcome) => output.split('\n').at(-1);

  test('exits with 0 and a summary when all open runs replay with the code', async () => {
    const outcome = await fromServer(CURRENT_BUNDLE_ARGS);

    expect(lastLine(outcome)).toMatch(
      /^4 histories on the server \(ExecutionStatus = 'Running' .*\): 1 cart, 3 order; none differ from the code$/,
    );
    expect(outcome.output).not.toContain('DIFFERS');
    expect(outcome.code).toBe(0);
  });

  test('includes each workflow type in a limited sample', async () => {
    const outcome = await fromServer(CURRENT_BUNDLE_ARGS, '--skip-committed', '--limit', '2');

    expect(lastLine(outcome)).toContain(': 1 cart, 1 order;');
    expect(outcome.code).toBe(0);
  });

  test('replays only the runs that match --query', async () => {
    const outcome = await fromServer(
      CURRENT_BUNDLE_ARGS,
      '--skip-committed',
      '--query',
      `WorkflowId = '${orderWorkflowId(orderIds[0]!)}'`,
    );

    expect(lastLine(outcome)).toContain(': 1 order;');
    expect(outcome.code).toBe(0);
  });

  test('exits with 1 and prints the workflow, the event and the difference when a history does not replay', async () => {
    const workflowId = orderWorkflowId(orderIds[1]!);
    const { runId } = await shop.client.workflow.getHandle(workflowId).describe();
    const { code, output } = await fromServer(incompatible, '--query', `WorkflowId = '${workflowId}'`);

    expect(output).toContain(`DIFFERS: order ${workflowId}, run ${runId}, at event `);
    expect(output).toMatch(
      new RegExp(
        `${runId}, at event \\d+ ActivityTaskScheduled: activity type in the history is reserveStock, in the code chargePayment`,
      ),
    );
    expect(output.split('\n').at(-1)).toContain(': 1 order; 1 differ from the code');
    expect(code).toBe(1);
  });

  test('exits with 1 and prints the workflow type when the code has no such type', async () => {
    const { code, output } = await fromServer(incompatible, '--query', `WorkflowType = 'cart'`);

    expect(output).toContain('cart cart:an-open-one');
    expect(output).toContain('the code has no workflow type cart');
    expect(code).toBe(1);
  });

  test('exits with 2 when the query matches no run', async () => {
    const outcome = await fromServer(CURRENT_BUNDLE_ARGS, '--query', `WorkflowId = 'nobody'`);

    expect(lastLine(outcome)).toBe('No run on the server matches the query');
    expect(outcome.code).toBe(2);
  });

  test('when the server has no open run, exits with the result of the committed histories', async () => {
    const { namespace } = await server.openNamespace(`empty-${randomUUID()}`);
    const outcomes = [];
    for (const bundle of [CURRENT_BUNDLE_ARGS, incompatible])
      outcomes.push(await fromServer(bundle, '--namespace', namespace));

    for (const outcome of outcomes)
      expect(lastLine(outcome)).toMatch(/^no open runs on the server \(ExecutionStatus = /);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 1]);
  });

  test('skips the committed histories with --skip-committed', async () => {
    const outcome = await fromServer(incompatible, '--skip-committed', '--query', `WorkflowType = 'cart'`);

    expect(outcome.output).not.toContain('committed');
    expect(outcome.output).not.toContain('.json');
    expect(lastLine(outcome)).toContain(`(WorkflowType = 'cart'): 1 cart; 1 differ from the code`);
    expect(outcome.code).toBe(1);
  });

  test('exits with 2 for an invalid query', async () => {
    const { code, output } = await fromServer(CURRENT_BUNDLE_ARGS, '--query', 'Colour = blue');

    expect(output).toContain('Colour');
    expect(code).toBe(2);
  });

  test('exits with 2 when the namespace does not exist', async () => {
    const { code, output } = await replay(
      ...CURRENT_BUNDLE_ARGS,
      '--from-server',
      '--address',
      server.address,
      '--namespace',
      'none',
    );

    expect(output).toContain('none');
    expect(code).toBe(2);
  });

  test('replays an encrypted history with its key, and reports the key id if the key is not configured', async () => {
    const key = generateEncryptionKey('today');
    const workflowId = cartWorkflowId('an-encrypted-one');
    await openEncryptedCart(workflowId, key);
    const place = [
      ...CURRENT_BUNDLE_ARGS,
      '--from-server',
      '--skip-committed',
      '--address',
      server.address,
      '--namespace',
      server.namespace,
    ];
    const one = ['--query', `WorkflowId = '${workflowId}'`];

    const [withKey, without] = await Promise.all([
      replayWith({ PAYLOAD_ENCRYPTION_KEYS: key }, ...place, ...one),
      replayInProcess(...place, ...one),
    ]);

    expect(lastLine(withKey)).toContain(': 1 cart; none differ from the code');
    expect(withKey.code).toBe(0);
    expect(without.output).toContain('encrypted with the key "today", which is not in PAYLOAD_ENCRYPTION_KEYS');
    expect(without.code).not.toBe(0);
  });

  /** Uses a separate task queue, because the worker of the shop has no encryption key. */
  async function openEncryptedCart(workflowId: string, key: string): Promise<void> {
    const { namespace, nativeConnection: connection } = server;
    const keys = parseEncryptionKeys(key);
    const taskQueue = 'encrypted-carts';
    const worker = await withTypeScriptRequire(() =>
      Worker.create({
        debugMode: true,
        connection,
        namespace,
        taskQueue,
        workflowBundle: { codePath: inject('workflowBundle') },
        dataConverter: createWorkerDataConverter({ keys, namespace }),
        activities: createTestActivities(shop),
      }),
    );
    await worker.runUntil(async () => {
      const handle = await createEncryptingClient(server, keys).workflow.start('cart', {
        workflowId,
        taskQueue,
        args: [{ cartId: 'an-encrypted-one' }],
      });
      await handle.query(cartQuery);
      const isFound = async () =>
        (await shop.client.workflow.count(`WorkflowId = '${workflowId}'`)).count === 1 || undefined;
      await waitUntil(isFound, { description: 'the encrypted cart in visibility', timeoutMs: 20_000 });
    });
  }
});
