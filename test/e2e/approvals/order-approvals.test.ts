import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ApprovalResource, ApprovalSummary } from '../../../src/schemas/approval.js';
import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import { bundlePath, bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { signDecision, startApiProcess } from '../../support/api/api.js';
import { generateEncryptionKey } from '../../support/temporal/encryption.js';
import { waitUntil, type ManagedProcess } from '../../support/processes.js';
import { makeApproval, makeStage, startApproval } from '../../support/shop/approvals.js';
import { startEntryPoint } from '../../support/shop/entry-points.js';
import { APPROVAL_MODES } from '../../support/shop/order-shop.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/workers/workers.js';

const WAIT_OPTIONS = { timeoutMs: 30_000, intervalMs: 100 };

async function writeEncryptedBundle(): Promise<void> {
  const { code } = await bundleWorkflows(new DefaultLogger('WARN'), { encrypted: true });
  await writeFile(bundlePath(inject('workflowBundle'), { encrypted: true }), code);
}

for (const mode of APPROVAL_MODES) {
  describeOnDevServer(`an order over HTTP that runs its approval as a ${mode}`, () => {
    const namespace = `approvals-${randomUUID()}`;
    // Encryption binds a payload to its namespace, and Nexus carries payloads from one namespace to another.
    const env: Record<string, string> =
      mode === 'Nexus operation'
        ? { APPROVAL_NAMESPACE: namespace, PAYLOAD_ENCRYPTION_KEYS: generateEncryptionKey('today') }
        : {};
    let server: DevServer;
    let shop: Shop;
    let worker: WorkerProcess;
    let api: { url: string; process: ManagedProcess };

    beforeAll(async () => {
      if (env.PAYLOAD_ENCRYPTION_KEYS !== undefined) await writeEncryptedBundle();
      server = await startDevServer();
      shop = await startShop(server, { withWorker: false });
      // Setup is safe to run again.
      for (const run of [1, 2]) {
        const setup = await startEntryPoint('setup', {
          ...env,
          DATABASE_URL: shop.ownerDatabaseUrl,
          TEMPORAL_ADDRESS: server.address,
          TEMPORAL_NAMESPACE: server.namespace,
        });
        expect(await setup.process.exited, `run ${run}: ${setup.lines.join('\n')}`).toMatchObject({ code: 0 });
      }
      worker = await startWorkerProcess(server, shop, { ...env, WORKER_TASK_QUEUES: 'orders,payments,approvals' });
      api = await startApiProcess(server, shop, env);
    });
    afterAll(async () => {
      await worker?.stop();
      await api?.process.stop();
      await shop?.close();
    });

    async function request<Body>(path: string, options: { json?: unknown; text?: string; headers?: object } = {}) {
      const { json, text = json === undefined ? undefined : JSON.stringify(json), headers } = options;
      const response = await fetch(api.url + path, {
        ...(text !== undefined && { method: 'POST', body: text }),
        headers: { 'content-type': 'application/json', ...headers },
      });
      return { status: response.status, body: (await response.json()) as Body };
    }
    const waitFor = <Body>(path: string, matches: (body: Body) => boolean) =>
      waitUntil(
        async () => {
          const { status, body } = await request<Body>(path);
          return status === 200 && matches(body) ? body : undefined;
        },
        { description: path, ...WAIT_OPTIONS },
      );

    const waitForOrder = ({ orderId }: OrderInput, matches: (order: OrderResource) => boolean) =>
      waitFor<OrderResource>(`/v1/orders/${orderId}`, matches);
    const approvalPath = ({ orderId }: OrderInput) => `/v1/approvals/order.${orderId}`;

    async function placeOrder(overrides: Partial<OrderInput> = {}): Promise<OrderInput> {
      const { sku } = await addProduct(shop.store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
      const order = makeOrder({ lines: [{ sku, quantity: 1 }], ...overrides });
      expect((await request('/v1/orders', { json: order })).status).toBe(202);
      return order;
    }

    /** Waits until the shift lead has the mail with the link. */
    async function waitForApproval(order: OrderInput): Promise<ApprovalResource> {
      return await waitFor<ApprovalResource>(
        approvalPath(order),
        ({ notifications }) => notifications[0]?.status === 'sent',
      );
    }

    const decide = (order: OrderInput, decision: 'approve' | 'reject') =>
      request<ApprovalResource>(`${approvalPath(order)}/decision`, { json: { approver: 'shift-lead', decision } });

    test('ships an order after the approver approves it', async () => {
      const order = await placeOrder();
      expect(await waitForApproval(order)).toMatchObject({ status: 'pending', requestedBy: order.customerId });
      const { body: list } = await request<{ items: ApprovalSummary[] }>('/v1/approvals?status=pending');
      expect(list.items.map(({ approvalId }) => approvalId)).toContain(`order.${order.orderId}`);

      expect(await decide(order, 'approve')).toMatchObject({ status: 200, body: { status: 'approved' } });
      expect(await waitForOrder(order, ({ stage }) => stage === 'awaiting_pickup')).toMatchObject({
        approval: { status: 'approved' },
      });
    });

    test('rejects an order after the approver rejects it on the page of the link', async () => {
      const order = await placeOrder();
      await waitForApproval(order);
      const mails = await shop.fakes.mailbox.mailsTo('shift-lead@example.com');
      const mail = mails.find(({ text }) => text.includes(order.orderId))!;
      const [path] = /\/approvals\/\S+/.exec(mail.text)!;
      const body = new URLSearchParams({ decision: 'reject' });
      const page = await fetch(api.url + path, { method: 'POST', redirect: 'manual', body });

      expect(page.status).toBe(303);
      expect(await waitForOrder(order, ({ stage }) => stage === 'done')).toMatchObject({
        status: 'rejected',
        reason: { type: 'ApprovalRejected' },
      });
    });

    test('rejects an order after its approval times out', async () => {
      const order = await placeOrder({ approvalTimeoutSeconds: 1 });

      expect(await waitForOrder(order, ({ stage }) => stage === 'done')).toMatchObject({
        status: 'rejected',
        reason: { type: 'ApprovalTimedOut' },
      });
      expect((await request(approvalPath(order))).body).toMatchObject({ status: 'timed_out' });
    });

    test('withdraws the approval when the customer cancels the order', async () => {
      const order = await placeOrder();
      await waitForApproval(order);

      expect((await request(`/v1/orders/${order.orderId}/cancel`, { json: {} })).status).toBe(202);
      expect((await waitForOrder(order, ({ stage }) => stage === 'done')).status).toBe('cancelled');
      expect((await request(approvalPath(order))).body).toMatchObject({ status: 'withdrawn' });
      expect(await decide(order, 'approve')).toMatchObject({ status: 409 });
    });

    test('rejects an order whose approval was withdrawn over HTTP', async () => {
      const order = await placeOrder();
      await waitForApproval(order);

      expect((await request(`${approvalPath(order)}/withdraw`, { json: {} })).status).toBe(200);
      expect(await waitForOrder(order, ({ stage }) => stage === 'done')).toMatchObject({
        status: 'rejected',
        reason: { type: 'ApprovalWithdrawn' },
      });
    });

    if (mode === 'Nexus operation')
      test('decides an approval that was requested before approvals had a namespace of their own', async () => {
        const approval = makeApproval({ stages: [makeStage({ id: 'grace' })] });
        await startApproval(shop.client, approval);
        const path = `/v1/approvals/${approval.approvalId}`;
        await waitFor<ApprovalResource>(path, ({ approvers }) => approvers.includes('grace'));
        expect((await request('/v1/approvals', { json: approval })).body).toMatchObject({ status: 'pending' });

        const json = { approver: 'grace', decision: 'approve' };
        expect(await request(`${path}/decision`, { json })).toMatchObject({
          status: 200,
          body: { status: 'approved' },
        });
        expect((await request(path)).body).toMatchObject({ status: 'approved' });
      });

    test('an approval that was requested over HTTP accepts a signed decision', async () => {
      const webhookUrl = `${api.url}/livez`;
      const approval = makeApproval({ stages: [makeStage({ id: 'erp', webhookUrl })] });
      const { approvalId } = approval;
      expect(await request('/v1/approvals', { json: approval })).toMatchObject({ status: 202 });
      expect((await request('/v1/approvals', { json: approval })).body).toEqual({ approvalId, status: 'pending' });
      expect((await request('/v1/approvals', { json: { ...approval, title: 'Another' } })).status).toBe(409);

      const decision = signDecision({ approvalId, approver: 'erp', decision: 'approve' });
      expect((await request('/v1/callbacks/approvals', decision)).status).toBe(202);
      await waitFor<ApprovalResource>(`/v1/approvals/${approvalId}`, ({ status }) => status === 'approved');
      const workflows = new Map(
        await Promise.all(
          [server.namespace, namespace].map(async (each) => {
            const { client } = await server.openNamespace(each);
            const found = await client.workflow
              .getHandle(approvalWorkflowId(approvalId))
              .describe()
              .catch(() => 'none');
            return [each, found !== 'none'] as const;
          }),
        ),
      );
      expect(workflows.get(namespace)).toBe(mode === 'Nexus operation');
      expect(workflows.get(server.namespace)).toBe(mode === 'child workflow');
    });
  });
}
