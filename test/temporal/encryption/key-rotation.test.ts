import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type proto from '@temporalio/proto';
import { afterEach, beforeAll, afterAll, expect, test } from 'vitest';
import { createPayloadCodec } from '../../../src/temporal/encryption/codec.js';
import type { EncryptionKey } from '../../../src/temporal/encryption/keys.js';
import { addItemSignal, CART_TASK_QUEUE, cartQuery, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart } from '../../../src/workflows/cart/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { startApi } from '../../support/api/api.js';
import { newCartId, type CartHandle } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import {
  generateEncryptionKey,
  createEncryptingClient,
  parseEncryptionKeys,
} from '../../support/temporal/encryption.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorker } from '../../support/workers/workers.js';

const keyA = generateEncryptionKey('a');
const keyB = generateEncryptionKey('b');

describeOnDevServer('workflows during key changes', () => {
  let server: DevServer;
  let shop: Shop;
  let worker: { stop: () => Promise<void> } | undefined;
  let sku: string;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    sku = (await addProduct(shop.store, { available: 100 })).sku;
  });
  afterEach(async () => {
    await worker?.stop();
    worker = undefined;
  });
  afterAll(() => shop?.close());

  /**
   * Restarts the worker with the given keys. Its cache is empty, so the worker reads each history from the beginning.
   */
  async function workerWith(...keys: string[]) {
    await worker?.stop();
    worker = undefined;
    worker = await startWorker(server, shop, {
      taskQueues: ['carts'],
      encryptionKeys: keys.length ? parseEncryptionKeys(...keys) : [],
    });
  }
  const clientWith = (...keys: string[]) => createEncryptingClient(server, parseEncryptionKeys(...keys));

  async function openCart(client: Client): Promise<CartHandle> {
    const cartId = newCartId();
    return await client.workflow.start<typeof cart>('cart', {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId }],
      // The server retries a failed workflow task after this timeout.
      workflowTaskTimeout: '1 second',
    });
  }

  /** Returns a handle of the same cart for another client. */
  const handleFor = (client: Client, { workflowId }: CartHandle): CartHandle => client.workflow.getHandle(workflowId);

  const add = (handle: CartHandle) => handle.signal(addItemSignal, { sku, quantity: 1 });
  const quantityIn = async (handle: CartHandle) => (await handle.query(cartQuery)).lines[0]?.quantity ?? 0;
  const waitForQuantity = (handle: CartHandle, quantity: number) =>
    waitUntil(async () => ((await quantityIn(handle)) === quantity ? true : undefined), {
      description: `the cart holding ${quantity}`,
      timeoutMs: 20_000,
    });

  /** Waits for a failed workflow task. @returns its latest failure, without decryption. */
  const failureOfTask = (handle: CartHandle) =>
    waitUntil(
      async () => {
        const { events } = await handle.fetchHistory();
        const failed = events?.findLast(({ workflowTaskFailedEventAttributes: failed }) => failed);
        return failed?.workflowTaskFailedEventAttributes?.failure ?? undefined;
      },
      { description: 'a failed workflow task', timeoutMs: 20_000 },
    );

  /** Sends a signal with the given payload. */
  async function signalRaw({ workflowId }: CartHandle, payload: proto.temporal.api.common.v1.IPayload): Promise<void> {
    await server.client.workflowService.signalWorkflowExecution({
      namespace: server.namespace,
      signalName: 'addItem',
      workflowExecution: { workflowId },
      input: { payloads: [payload] },
    });
  }
  async function startEncryptedShop(keys: EncryptionKey[], namespace = server.namespace) {
    const payload = defaultPayloadConverter.toPayload({ sku, quantity: 1 });
    return (await createPayloadCodec({ keys, namespace }).encode([payload]))[0]!;
  }

  test('a workflow continues when a key is added to its unencrypted run and then replaced by another key', async () => {
    await workerWith();
    const handle = await openCart(shop.client);
    await add(handle);
    await waitForQuantity(handle, 1);

    await workerWith(keyA);
    const withA = handleFor(clientWith(keyA), handle);
    await add(withA);
    // This client has no codec and sends plain text, like the CLI.
    await add(handle);
    await waitForQuantity(withA, 3);

    await workerWith(keyB, keyA);
    const withBoth = handleFor(clientWith(keyB, keyA), handle);
    await add(withBoth);
    await waitForQuantity(withBoth, 4);
  });

  test('a workflow waits without data loss while the worker lacks the key, and its task failure contains the missing key id', async () => {
    await workerWith(keyA);
    const handle = await openCart(clientWith(keyA));
    await add(handle);
    await waitForQuantity(handle, 1);

    await workerWith();
    await add(handle);
    expect((await failureOfTask(handle)).message).toBe(
      'a payload is encrypted with the key "a", which is not in PAYLOAD_ENCRYPTION_KEYS',
    );
    expect((await handle.describe()).status.name).toBe('RUNNING');

    await workerWith(keyA, keyB);
    await waitForQuantity(handle, 2);
  });

  test('a workflow processes a signal with an unknown key after the key is configured', async () => {
    await workerWith(keyA);
    const handle = await openCart(clientWith(keyA, keyB));
    await signalRaw(handle, await startEncryptedShop(parseEncryptionKeys(keyB)));
    const failure = await failureOfTask(handle);
    expect(failure).toMatchObject({ message: 'Encoded failure' });

    await workerWith(keyA, keyB);
    await waitForQuantity(handle, 1);
  });

  test('a workflow ignores a signal that is corrupt or encrypted for a different namespace', async () => {
    await workerWith(keyA);
    const handle = await openCart(clientWith(keyA));
    await signalRaw(handle, await startEncryptedShop(parseEncryptionKeys(keyA), 'another'));
    await signalRaw(handle, { ...(await startEncryptedShop(parseEncryptionKeys(keyA))), data: Buffer.alloc(50) });
    await add(handle);

    await waitForQuantity(handle, 1);
  });

  test('the API returns 500 without workflow data when it lacks the key of a cart', async () => {
    await workerWith(keyA);
    const handle = await openCart(clientWith(keyA));
    await add(handle);
    await waitForQuantity(handle, 1);
    const api = await startApi({ ...shop, client: clientWith(keyB) });

    const { status, body } = await api.get(`/v1/carts/${handle.workflowId.replace('cart:', '')}`);
    await api.close();

    expect([status, body.type]).toEqual([500, '/problems/internal-error']);
    expect(JSON.stringify(body)).not.toContain(sku);
  });
});
