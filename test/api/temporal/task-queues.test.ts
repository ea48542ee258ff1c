import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { signDecision, signShipmentReport, startApi, type ApiResponse, type Api } from '../../support/api/api.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';

/** Less than the 8 s that the API waits for a worker, but enough for an immediate response on a busy machine. */
const IMMEDIATE_MS = 5_000;

const UNPOLLED_QUEUE = 'nobody-polls-this';

describeOnDevServer('workflows started outside the API', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let sku: string;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server);
    api = await startApi(shop);
    sku = (await addProduct(shop.store)).sku;
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  /** Starts a workflow with the Temporal CLI. */
  async function start(workflowId: string, type: string, taskQueue: string, input: unknown): Promise<void> {
    const what = ['--workflow-id', workflowId, '--type', type, '--task-queue', taskQueue];
    const { code, stderr } = await runTemporalCli(
      server,
      'workflow',
      'start',
      ...what,
      '--input',
      JSON.stringify(input),
    );
    expect([code, stderr]).toEqual([0, '']);
  }

  async function expectImmediate(call: () => Promise<ApiResponse<Problem>>): Promise<ApiResponse<Problem>> {
    const started = performance.now();
    const response = await call();
    expect(performance.now() - started).toBeLessThan(IMMEDIATE_MS);
    return response;
  }

  const makeOrderInput = () => makeOrder({ lines: [{ sku, quantity: 1 }] });
  const makeApprovalInput = () => makeApproval({ stages: [makeStage({ id: 'grace' })] });
  const decision = { approver: 'grace', decision: 'approve' } as const;
  const payment = { token: 'tok_ok' };

  /** Resources whose requests need a worker. `make` creates a workflow input, and `calls` lists the requests. */
  const resources: {
    name: string;
    type: string;
    make: () => { workflowId: string; path: string; input: object };
    calls: [method: string, path: string, json?: object][];
  }[] = [
    {
      name: 'order',
      type: 'order',
      make() {
        const input = makeOrderInput();
        return { workflowId: orderWorkflowId(input.orderId), path: `/v1/orders/${input.orderId}`, input };
      },
      calls: [
        ['GET', ''],
        ['POST', '/cancel'],
      ],
    },
    {
      name: 'cart',
      type: 'cart',
      make() {
        const cartId = randomUUID();
        return { workflowId: cartWorkflowId(cartId), path: `/v1/carts/${cartId}`, input: { cartId } };
      },
      calls: [
        ['GET', ''],
        ['POST', '/items', { sku: 'ANY', quantity: 1 }],
        ['PATCH', '/items/ANY', { quantity: 1 }],
        ['POST', '/checkout', { payment }],
        ['DELETE', ''],
      ],
    },
    {
      name: 'approval',
      type: 'approval',
      make() {
        const input = makeApprovalInput();
        return { workflowId: approvalWorkflowId(input.approvalId), path: `/v1/approvals/${input.approvalId}`, input };
      },
      calls: [
        ['GET', ''],
        ['POST', '/decision', decision],
        ['POST', '/withdraw', {}],
      ],
    },
  ];

  test.each(resources)(
    'immediately returns 503 with the task queue of the $name when no worker polls this queue',
    async (resource) => {
      const { workflowId, path, input } = resource.make();
      await start(workflowId, resource.type, UNPOLLED_QUEUE, input);

      for (const [method, action, json] of resource.calls) {
        const { status, headers, body } = await expectImmediate(() => api.request(method, path + action, { json }));

        expect([method, action, status, body.type]).toEqual([method, action, 503, '/problems/no-worker']);
        expect(body).toMatchObject({
          taskQueue: UNPOLLED_QUEUE,
          detail: `no worker polls task queue ${UNPOLLED_QUEUE}`,
        });
        expect(headers.get('retry-after')).toBe('5');
      }
    },
  );

  test.each(resources)('serves a $name whose workflow runs on the task queue of another resource', async (resource) => {
    const { workflowId, path, input } = resource.make();
    await start(workflowId, resource.type, resource.type === 'cart' ? 'orders' : 'carts', input);

    expect((await api.get(path)).status).toBe(200);
  });

  test.each(resources)(
    'every request about the $name returns 409 when its workflow id belongs to another type of workflow',
    async (resource) => {
      const { workflowId, path, input } = resource.make();
      await start(workflowId, 'nightlyReport', UNPOLLED_QUEUE, input);

      for (const [method, action, json] of resource.calls) {
        const { status, body } = await expectImmediate(() => api.request(method, path + action, { json }));

        expect([method, action, status, body.type]).toEqual([method, action, 409, '/problems/wrong-workflow-type']);
        expect(body).toMatchObject({ workflowType: 'nightlyReport', taskQueue: UNPOLLED_QUEUE });
        expect(body.detail).toContain(`${workflowId} has the type nightlyReport, expected ${resource.type}`);
      }
    },
  );

  test('every request about a batch returns 409 when its workflow id belongs to another type of workflow', async () => {
    const batchId = randomUUID();
    const upload = await api.request('POST', `/v1/batches?operation=restock&batchId=${batchId}`, {
      text: JSON.stringify({ sku, quantity: 1 }),
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect(upload.status).toBe(202);
    await shop.client.workflow.getHandle(batchWorkflowId(batchId)).result();
    await start(batchWorkflowId(batchId), 'nightlyReport', UNPOLLED_QUEUE, { batchId });

    for (const [method, action] of [
      ['GET', ''],
      ['POST', '/pause'],
      ['POST', '/cancel'],
      ['POST', '/retry'],
    ] as const) {
      const { status, body } = await expectImmediate(() => api.request(method, `/v1/batches/${batchId}${action}`));
      expect([action, status, body.type]).toEqual([action, 409, '/problems/wrong-workflow-type']);
    }
  });

  test('a signed decision returns 409 when its workflow id belongs to another type of workflow', async () => {
    const approvalId = randomUUID();
    await start(approvalWorkflowId(approvalId), 'nightlyReport', UNPOLLED_QUEUE, {});

    const { status, body } = await api.request(
      'POST',
      '/v1/callbacks/approvals',
      signDecision({ approvalId, ...decision }),
    );

    expect([status, body.type]).toEqual([409, '/problems/wrong-workflow-type']);
  });

  test('a signed report of an unknown status returns 409 when its workflow id belongs to another type of workflow', async () => {
    const orderId = randomUUID();
    await start(orderWorkflowId(orderId), 'nightlyReport', UNPOLLED_QUEUE, {});

    const report = signShipmentReport(JSON.stringify({ orderId, shipmentId: 'sh_1', status: 'on_fire' }));
    const { status, body } = await api.request('POST', '/v1/callbacks/shipments', report);

    expect([status, body.type]).toEqual([409, '/problems/wrong-workflow-type']);
  });
});
