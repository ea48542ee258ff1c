import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CartResource } from '../../../src/schemas/cart.js';
import { APPROVAL_TASK_QUEUE } from '../../../src/workflows/approval/contract.js';
import { CART_TASK_QUEUE, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { order } from '../../../src/workflows/order/workflow.js';
import {
  orderQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
} from '../../../src/workflows/order/contract.js';
import { startApiProcess } from '../../support/api/api.js';
import { readSteps } from '../../support/docs/page-steps.js';
import { openReaderShell, type ReaderShell } from '../../support/docs/reader-shell.js';
import { runStep } from '../../support/docs/run-step.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';
import { waitUntil, type ManagedProcess } from '../../support/processes.js';
import { makeApproval, makeApprover, makeStage, startApproval } from '../../support/shop/approvals.js';
import { readBalance } from '../../support/shop/balance.js';
import { newCartId } from '../../support/shop/carts.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { temporalCliPath, type DevServer } from '../../support/temporal/dev-server.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';
import { describeOnFullServer, startFullServer } from '../../support/temporal/full-server.js';
import { startSingleWorkerProcess } from '../../support/workers/workers.js';

const PAGE = 'docs/operations/worker-versions.md';
const TIMEOUT_MS = 300_000;
const ORDER_ID = 'stuck';

describeOnFullServer('a release with a faulty order workflow', () => {
  let server: DevServer;
  let shop: Shop;
  let folder: string;
  let apiUrl: string;
  let shell: ReaderShell;
  const processes: ManagedProcess[] = [];

  beforeAll(async () => {
    server = await startFullServer();
    shop = await startShop(server, { withWorker: false });
    folder = await mkdtemp(join(tmpdir(), 'faulty-release-'));
    const faultyBundle = join(folder, 'workflow-bundle.js');
    await writeFile(faultyBundle, await bundleFaultyRelease());
    processes.push(await startWorkerOfVersion('1'), await startWorkerOfVersion('2', { WORKFLOW_BUNDLE: faultyBundle }));
    const { url, process: api } = await startApiProcess(server, shop);
    apiUrl = url;
    processes.push(api);
    shell = await openOperatorShell(new URL(url).host);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await shell?.close();
    await Promise.all(processes.map((each) => each.stop(20_000)));
    await shop?.close();
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  /** The histories of the faulty release do not replay with the code of this checkout, so the test does not replay them. */
  async function startWorkerOfVersion(buildId: string, env: Record<string, string> = {}): Promise<ManagedProcess> {
    const versioned = {
      TEMPORAL_DEPLOYMENT_NAME: 'shop',
      TEMPORAL_WORKER_BUILD_ID: buildId,
      WORKER_TASK_QUEUES: [ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE, APPROVAL_TASK_QUEUE, CART_TASK_QUEUE].join(),
    };
    return await startSingleWorkerProcess(server, shop, { ...versioned, ...env }, { isReplayed: false });
  }

  /** Opens the shell of an operator, who types the addresses of the page. */
  async function openOperatorShell(apiHost: string): Promise<ReaderShell> {
    const { address, namespace } = server;
    const opened = await openReaderShell({
      env: process.env,
      prelude: `temporal() { '${temporalCliPath()}' --disable-config-file "$@"; }`,
    });
    const toActual = (code: string) =>
      code
        .replaceAll('127.0.0.1:7233', address)
        .replaceAll('TEMPORAL_NAMESPACE=default', `TEMPORAL_NAMESPACE=${namespace}`)
        .replaceAll('127.0.0.1:3000', apiHost);
    return { ...opened, run: (code) => opened.run(toActual(code)) };
  }

  test(
    'is rolled back with the commands of the page, and its stuck order completes once',
    async () => {
      const product = await addProduct(shop.store, { sku: 'MUG-ENAMEL', available: 10 });
      // The replay before the ramp checks this approval.
      await startApproval(shop.client, makeApproval({ stages: [makeStage(makeApprover())] }));
      const handle = shop.client.workflow.getHandle<typeof order>(orderWorkflowId(ORDER_ID));
      const found = await readSteps(PAGE);
      if ('missing' in found) throw new Error(found.missing);

      for (const step of found.steps) {
        if (step.command.code.startsWith('temporal workflow result')) await deliver();
        await runStep(PAGE, step, shell);
      }

      const versions = await versionsOf(handle);
      expect(new Set(versions.slice(1)), 'all workflow tasks after the reset').toEqual(new Set(['1']));
      await expect(handle.result()).resolves.toMatchObject({ status: 'completed' });
      const lines = [{ sku: product.sku, quantity: 1 }];
      const balance = await readBalance(shop, { orderId: ORDER_ID, products: [product], lines, token: 'tok_ok' });
      expect(balance).toEqual({ verdict: 'sold', charged: 1250, refunded: 0, parcels: ['delivered'] });

      async function deliver(): Promise<void> {
        const isShipped = async () => (await handle.query(orderQuery)).stage === 'awaiting_pickup' || undefined;
        await waitUntil(isShipped, { description: 'the shipment by version 1', timeoutMs: 60_000 });
        await deliverParcel(shop.fakes, ORDER_ID);
      }
    },
    TIMEOUT_MS,
  );

  test(
    'is not used by open carts until a change, and the cart then continues as new on it',
    async () => {
      const { sku } = await addProduct(shop.store, { available: 1_000 });
      const addItem = async (cartId: string) => {
        const body = JSON.stringify({ sku, quantity: 1 });
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(`${apiUrl}/v1/carts/${cartId}/items`, { method: 'POST', headers, body });
        expect(response.status).toBe(200);
        return (await response.json()) as CartResource;
      };
      const executionOf = async (cartId: string) => {
        const { raw } = await shop.client.workflow.getHandle(cartWorkflowId(cartId)).describe();
        const { execution, firstRunId, versioningInfo } = raw.workflowExecutionInfo!;
        const { behavior, deploymentVersion } = versioningInfo!;
        return { runId: execution!.runId, firstRunId, behavior, buildId: deploymentVersion?.buildId };
      };
      // The task queues learn of a new current version only after the command has returned.
      const onceKnown = { timeoutMs: 120_000, intervalMs: 500 };

      await setCurrentVersion('1');
      const openCartOnVersion1 = async () => {
        const cartId = newCartId();
        await addItem(cartId);
        return (await executionOf(cartId)).buildId === '1' ? cartId : undefined;
      };
      const cartId = await waitUntil(openCartOnVersion1, { description: 'a cart on version 1', ...onceKnown });
      const first = await executionOf(cartId);
      expect(first.behavior).toBe(PINNED);

      await setCurrentVersion('2');
      expect((await executionOf(cartId)).runId).toBe(first.runId);
      let changes = 1;
      const changeUntilUpgrade = async () => {
        await addItem(cartId);
        changes += 1;
        return (await executionOf(cartId)).buildId === '2' || undefined;
      };
      await waitUntil(changeUntilUpgrade, { description: 'the cart on version 2', ...onceKnown });

      const upgraded = await executionOf(cartId);
      expect(upgraded).toEqual({ runId: expect.any(String), firstRunId: first.runId, behavior: PINNED, buildId: '2' });
      expect(upgraded.runId).not.toBe(first.runId);
      expect((await addItem(cartId)).lines).toEqual([expect.objectContaining({ sku, quantity: changes + 1 })]);
      expect((await executionOf(cartId)).runId, 'no further upgrade').toBe(upgraded.runId);
    },
    TIMEOUT_MS,
  );

  async function setCurrentVersion(buildId: string): Promise<void> {
    const args = ['set-current-version', '--deployment-name', 'shop', '--build-id', buildId, '--yes'];
    expect(await runTemporalCli(server, 'worker', 'deployment', ...args)).toMatchObject({ code: 0 });
  }
});

const PINNED = 1;

/** Returns the versions that completed the workflow tasks of the newest run. */
async function versionsOf(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(
    ({ workflowTaskCompletedEventAttributes: completed }) => completed?.deploymentVersion?.buildId ?? [],
  );
}

async function bundleFaultyRelease(): Promise<string> {
  const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const { code } = await bundleWorkflowCode({
    workflowsPath: pathOf('./faulty-release.workflows.ts'),
    payloadConverterPath: pathOf('../../../src/temporal/payloads/workflow-payload-converter.ts'),
    failureConverterPath: pathOf('../../../src/temporal/payloads/bounded-failure-converter.ts'),
    workflowInterceptorModules: [pathOf('../../../src/workflows/shared/outcome-interceptor.ts')],
  });
  return code;
}
