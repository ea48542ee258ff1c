import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApprovalInput, ApprovalResource, ApprovalSummary } from '../../../src/schemas/approval.js';
import { Registry } from 'prom-client';
import { createOutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { approvalDueAtAttribute, approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { waitUntil } from '../../support/processes.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { signDecision, startApi, type Api } from '../../support/api/api.js';
import { makeApproval, makeApprover, startApproval, makeStage, DAY_SECONDS } from '../../support/shop/approvals.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWebhookReceiver } from '../../support/network/webhook-receiver.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorker } from '../../support/workers/workers.js';

type Body = ApprovalResource & Omit<Problem, 'status' | 'title'>;

describeOnDevServer('/v1/approvals', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let worker: Awaited<ReturnType<typeof startWorker>>;
  const registry = new Registry();

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    worker = await startWorker(server, shop, { taskQueues: ['approvals', 'orders', 'payments'] });
    api = await startApi({ ...shop, metrics: createHttpMetrics(registry) });
  });
  afterAll(async () => {
    await api?.close();
    await worker?.stop();
    await shop?.close();
  });

  /** Requests an approval over HTTP. By default, its only approver has no notification address. */
  async function startNotifiedApproval(overrides: Partial<ApprovalInput> = {}): Promise<ApprovalInput> {
    const input = makeApproval({ stages: [makeStage({ id: 'lead' })], ...overrides });
    expect((await api.post('/v1/approvals', input)).status).toBe(202);
    return input;
  }
  const get = (approvalId: string) => api.get<Body>(`/v1/approvals/${approvalId}`);
  const hasStarted = (approvalId: string) =>
    waitUntil(
      async () => {
        const { body } = await get(approvalId);
        return body.trail.length > 0 ? body : undefined;
      },
      { description: `approval ${approvalId} being open`, timeoutMs: 10_000, intervalMs: 50 },
    );
  const decide = (approvalId: string, body: unknown) => api.post<Body>(`/v1/approvals/${approvalId}/decision`, body);
  const closed = (approvalId: string) =>
    waitUntil(
      async () => {
        const { status } = await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).describe();
        return status.name !== 'RUNNING' || undefined;
      },
      { description: `approval ${approvalId} being closed`, timeoutMs: 10_000, intervalMs: 50 },
    );

  describe('requesting an approval', () => {
    test('an approval request returns 202 with the location, and the approval is pending', async () => {
      const input = makeApproval({ stages: [makeStage({ id: 'lead' })], description: 'Please' });
      const { status, headers, body } = await api.post('/v1/approvals', input);

      expect(status).toBe(202);
      expect(headers.get('location')).toBe(`/v1/approvals/${input.approvalId}`);
      expect(body).toEqual({ approvalId: input.approvalId, status: 'pending' });
      expect(await hasStarted(input.approvalId)).toMatchObject({
        approvalId: input.approvalId,
        status: 'pending',
        title: 'May we?',
        description: 'Please',
        requestedBy: 'somebody',
        stage: 1,
        stages: 1,
        approvers: ['lead'],
        workflow: { workflowId: `approval:${input.approvalId}` },
      });
      const { startTime, typedSearchAttributes } = await shop.client.workflow
        .getHandle(approvalWorkflowId(input.approvalId))
        .describe();
      const due = typedSearchAttributes.get(approvalDueAtAttribute)!.getTime() - startTime.getTime();
      expect(Math.abs(due - 10 * DAY_SECONDS * 1000)).toBeLessThan(60_000);
    });

    test('generates an approval id when the request has none', async () => {
      const { approvalId: _left, ...rest } = makeApproval({ stages: [makeStage({ id: 'lead' })] });
      const { body } = await api.post<Body>('/v1/approvals', rest);
      expect((await get(body.approvalId)).status).toBe(200);
    });

    test('returns the existing approval for a repeated request, and 409 for the same id with other content', async () => {
      const input = await startNotifiedApproval();
      const again = await api.post('/v1/approvals', input);
      expect([again.status, again.body]).toEqual([202, { approvalId: input.approvalId, status: 'pending' }]);
      const other = await api.post('/v1/approvals', { ...input, title: 'Something else?' });
      expect(other.status).toBe(409);
      expect(other.body).toMatchObject({ type: '/problems/approval-id-taken' });
    });

    test.each<[string, Record<string, unknown>, string]>([
      ['an id with the prefix of an order', { approvalId: 'order.first' }, '/approvalId'],
      ['no stages', { stages: [] }, '/stages'],
      ['no approver but the requester', { stages: [makeStage({ id: 'somebody' })] }, '/stages'],
      ['an approver without an id', { stages: [{ approvers: [{}], timeoutSeconds: 1 }] }, '/stages/0/approvers/0/id'],
      ['an invalid mail address', { stages: [makeStage({ id: 'a', email: 'nobody' })] }, '/stages/0/approvers/0/email'],
      [
        'a mail address with a Unicode local part',
        { stages: [makeStage({ id: 'a', email: 'ö@example.com' })] },
        '/stages/0/approvers/0/email',
      ],
      ['a callback URL with another scheme', { callbackUrl: 'ftp://example.com/' }, '/callbackUrl'],
      ['a callback URL with a password', { callbackUrl: 'https://a:b@example.com/' }, '/callbackUrl'],
      ['a title with NUL', { title: 'a\0b' }, '/title'],
      ['an unknown currency', { amount: { value: 1, currency: 'ABC' } }, '/amount/currency'],
    ])(
      'returns 400 and the pointer of the field for an approval request with %s',
      async (_description, change, pointer) => {
        const input = { ...makeApproval({ stages: [makeStage({ id: 'lead' })] }), ...change };
        const { status, body } = await api.post('/v1/approvals', input);
        expect(status).toBe(400);
        expect(body.errors?.map((error) => error.pointer)).toEqual([pointer]);
      },
    );
  });

  describe('decisions', () => {
    test('returns the outcome for a decision and for its repetition, and 409 for a different decision', async () => {
      const { approvalId } = await startNotifiedApproval({ stages: [makeStage({ id: 'lead' }, { id: 'boss' })] });
      const first = await decide(approvalId, { approver: 'lead', decision: 'approve', comment: 'fine' });
      expect(first.status).toBe(200);
      expect(first.body).toMatchObject({
        status: 'approved',
        decision: { approver: 'lead', decision: 'approve', comment: 'fine', via: 'api', stage: 1 },
      });
      await closed(approvalId);

      const again = await decide(approvalId, { approver: 'lead', decision: 'approve', comment: 'really' });
      expect([again.status, again.body.decision]).toEqual([200, first.body.decision]);
      for (const late of [
        { approver: 'lead', decision: 'reject' },
        { approver: 'boss', decision: 'approve' },
      ]) {
        const { status, body } = await decide(approvalId, late);
        expect([status, body.type]).toEqual([409, '/problems/already-decided']);
      }
      expect((await get(approvalId)).body.trail).toMatchObject([
        { event: 'requested' },
        { event: 'decided', comment: 'fine' },
        { event: 'commented', approver: 'lead', decision: 'approve', comment: 'really', via: 'api' },
      ]);
      await decide(approvalId, { approver: 'lead', decision: 'approve', comment: 'really' });
      expect((await get(approvalId)).body.trail, 'the same comment again').toHaveLength(3);
    });

    test('a closed approval stays readable and its id stays taken when Temporal no longer has the workflow', async () => {
      const input = await startNotifiedApproval();
      const { approvalId } = input;
      await decide(approvalId, { approver: 'lead', decision: 'approve' });
      await closed(approvalId);
      // In an empty namespace, the workflow is missing, like after the retention period.
      const { client } = await server.openNamespace(`later-${randomUUID()}`);
      const later = await startApi({ client, store: shop.store });
      const path = `/v1/approvals/${approvalId}`;

      const { status, body } = await later.get<Body>(path);
      expect([status, body.status, body.decision?.approver, body.workflow]).toEqual([
        200,
        'approved',
        'lead',
        undefined,
      ]);
      const again = await later.post('/v1/approvals', input);
      expect([again.status, again.body]).toEqual([202, { approvalId, status: 'approved' }]);
      expect((await later.post('/v1/approvals', { ...input, title: 'Something else?' })).status).toBe(409);
      const late = await later.post<Body>(`${path}/decision`, { approver: 'lead', decision: 'reject' });
      expect([late.status, late.body.type]).toEqual([409, '/problems/already-decided']);
      const callback = signDecision({ approvalId, approver: 'lead', decision: 'reject' });
      expect((await later.request('POST', '/v1/callbacks/approvals', callback)).status).toBe(200);
      await later.close();
    });

    test.each([
      ['stranger', '/problems/not-an-approver'],
      ['somebody', '/problems/self-approval'],
    ])('denies a decision of "%s" with 403, and the approval stays pending', async (approver, type) => {
      const { approvalId } = await startNotifiedApproval({ stages: [makeStage({ id: 'lead' }, { id: 'somebody' })] });
      const { status, body } = await decide(approvalId, { approver, decision: 'approve' });
      expect([status, body.type]).toEqual([403, type]);
      expect((await get(approvalId)).body).toMatchObject({ status: 'pending', approvers: ['lead'] });
    });

    test('returns 404 for reading, deciding or withdrawing an unknown approval', async () => {
      expect((await get(randomUUID())).status).toBe(404);
      expect((await decide(randomUUID(), { approver: 'lead', decision: 'approve' })).status).toBe(404);
      expect((await api.post(`/v1/approvals/${randomUUID()}/withdraw`)).status).toBe(404);
    });

    test.each([
      [{ approver: 'lead' }, '/decision'],
      [{ approver: 'lead', decision: 'maybe' }, '/decision'],
      [{ approver: 'lead', decision: 'approve', via: 'link' }, '/via'],
      [{ approver: 'lead', decision: 'approve', comment: 'x'.repeat(1_001) }, '/comment'],
    ])('rejects a decision with the body %j with 400', async (body, pointer) => {
      const { approvalId } = await startNotifiedApproval();
      const response = await api.post(`/v1/approvals/${approvalId}/decision`, body);
      expect(response.status).toBe(400);
      expect(response.body.errors?.map((error) => error.pointer)).toEqual([pointer]);
    });

    test('accepts a repeated withdrawal, and rejects a decision about a withdrawn approval with 409', async () => {
      const { approvalId } = await startNotifiedApproval();
      const withdraw = () => api.post<Body>(`/v1/approvals/${approvalId}/withdraw`, { reason: 'done otherwise' });
      const { status, body } = await withdraw();
      expect([status, body.status, body.withdrawal?.reason]).toEqual([200, 'withdrawn', 'done otherwise']);
      await closed(approvalId);
      expect((await withdraw()).status).toBe(200);
      const late = await decide(approvalId, { approver: 'lead', decision: 'approve' });
      expect([late.status, late.body.type]).toEqual([409, '/problems/approval-closed']);
    });

    test('loses no decision that arrives while notification mails are being sent', async () => {
      const responses = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const approvers = Array.from({ length: 10 }, () => makeApprover());
          const [approver] = approvers as [(typeof approvers)[number]];
          const { approvalId } = await startNotifiedApproval({ stages: [makeStage(...approvers)] });
          // On a busy machine, the workers may not respond in time, so the test retries a 503.
          const isDecided = async () => {
            const response = await decide(approvalId, { approver: approver.id, decision: 'approve' });
            return response.status === 503 ? undefined : response;
          };
          return await waitUntil(isDecided, { description: `a decision about ${approvalId}`, timeoutMs: 40_000 });
        }),
      );
      expect(responses.map(({ status, body }) => `${status} ${body.status}`)).toEqual(Array(20).fill('200 approved'));
    });

    test('when decisions race the deadline, an approval has one outcome and every response agrees with the outcome', async () => {
      // With this timeout, some decisions arrive before the deadline and some after it, even on a busy machine.
      const stages = [{ approvers: [{ id: 'lead' }], timeoutSeconds: 3 }];
      const inputs = await Promise.all(Array.from({ length: 24 }, () => startNotifiedApproval({ stages })));
      const responses = await Promise.all(
        inputs.map(async ({ approvalId }, index) => {
          const isOpened = async () => (await get(approvalId)).body.deadline;
          const deadline = await waitUntil(isOpened, {
            description: 'the deadline being set',
            timeoutMs: 10_000,
            intervalMs: 20,
          });
          const spread = (index - 12) * (index < 12 ? 100 : 400);
          const due = Date.parse(deadline) + spread;
          await waitUntil(() => Date.now() >= due || undefined, {
            description: 'the deadline',
            timeoutMs: 10_000,
            intervalMs: 5,
          });
          return await decide(approvalId, { approver: 'lead', decision: 'approve' });
        }),
      );
      for (const [index, { approvalId }] of inputs.entries()) {
        await closed(approvalId);
        const { body } = await get(approvalId);
        const { status } = responses[index]!;
        expect([status, body.status, body.trail.length]).toEqual(
          status === 200 ? [200, 'approved', 2] : [409, 'timed_out', 2],
        );
      }
      const statuses = new Set(responses.map(({ status }) => status));
      expect([...statuses].sort()).toEqual([200, 409]);
    });
  });

  describe('approvals closed by Temporal', () => {
    const isListed = async (query: string) => {
      const { body } = await api.get<{ items: ApprovalSummary[] }>(`/v1/approvals?limit=200&${query}`);
      return body.items.map(({ approvalId, status }) => `${approvalId} ${status}`);
    };

    test('shows an approval as withdrawn after its workflow is terminated', async () => {
      const lead = makeApprover().id;
      const { approvalId } = await startNotifiedApproval({ stages: [makeStage({ id: lead })] });
      expect((await get(approvalId)).body.status).toBe('pending');
      await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).terminate();

      expect((await get(approvalId)).body.status).toBe('withdrawn');
      await waitUntil(
        async () => (await isListed('status=withdrawn')).includes(`${approvalId} withdrawn`) || undefined,
        {
          description: 'the terminated approval in the list',
          timeoutMs: 10_000,
        },
      );
      expect(await isListed('status=pending')).not.toContain(`${approvalId} withdrawn`);
      expect(await isListed(`approver=${lead}`)).toEqual([]);
      const late = await decide(approvalId, { approver: lead, decision: 'approve' });
      expect([late.status, late.body.type]).toEqual([409, '/problems/approval-closed']);
    });

    /** Places an order that needs an approval, and waits until the approval is requested. */
    async function placeOrderAwaitingApproval(): Promise<{ orderId: string; approvalId: string }> {
      const { sku } = await addProduct(shop.store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
      const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
      expect((await api.post('/v1/orders', order)).status).toBe(202);
      const { approval } = await api.waitForOrder(
        order.orderId,
        (seen) => seen.approval !== undefined,
        'awaiting approval',
      );
      const { approvalId } = approval!;
      // The order shows its approval id before Temporal has started the approval workflow.
      const isRequested = async () => (await get(approvalId)).body.deadline;
      await waitUntil(isRequested, { description: 'the approval of the order', timeoutMs: 10_000 });
      return { orderId: order.orderId, approvalId };
    }

    test('a terminated approval rejects its order, like a withdrawn approval', async () => {
      const { orderId, approvalId } = await placeOrderAwaitingApproval();
      await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).terminate();
      expect(await api.waitForOrderStage(orderId, 'done')).toMatchObject({
        status: 'rejected',
        reason: { type: 'ApprovalWithdrawn' },
        approval: { status: 'withdrawn' },
        compensations: [{ name: 'releaseStock', status: 'completed' }],
      });
    });

    test('an approval is withdrawn when its order is terminated', async () => {
      const { orderId, approvalId } = await placeOrderAwaitingApproval();
      expect((await get(approvalId)).body.status).toBe('pending');
      await shop.client.workflow.getHandle(`order:${orderId}`).terminate();
      const isWithdrawn = async () => (await get(approvalId)).body.status === 'withdrawn' || undefined;
      await waitUntil(isWithdrawn, { description: 'the withdrawal', timeoutMs: 10_000 });
      await closed(approvalId);
      const { status } = await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).describe();
      expect(status.name).toBe('CANCELLED');
    });

    test('does not show an approval whose workflow failed because of invalid input', async () => {
      const input = makeApproval({ stages: [] });
      const handle = await startApproval(shop.client, input);
      await handle.result().catch(() => undefined);
      expect((await get(input.approvalId)).status).toBe(404);
      const good = await startNotifiedApproval();
      await waitUntil(async () => (await isListed('')).includes(`${good.approvalId} pending`) || undefined, {
        description: 'the newer approval in the list',
        timeoutMs: 10_000,
      });
      expect((await isListed('')).join()).not.toContain(input.approvalId);
    });
  });

  describe('callback and webhook URLs', () => {
    test.each([
      'http://169.254.169.254/',
      'http://127.0.0.1:1/',
      'http://localhost/',
      'http://[::1]/',
      'http://10.0.0.1/',
    ])('rejects the callback or webhook URL %s with 400 when private addresses are not allowed', async (url) => {
      const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: false });
      const guarded = await startApi({ ...shop, outgoing });
      const stages = [makeStage({ id: 'lead', webhookUrl: url })];
      for (const [change, pointer] of [
        [{ callbackUrl: url }, '/callbackUrl'],
        [{ stages }, '/stages/0/approvers/0/webhookUrl'],
      ] as const) {
        const input = { ...makeApproval({ stages: [makeStage({ id: 'lead' })] }), ...change };
        const { status, body } = await guarded.post('/v1/approvals', input);
        expect([status, body.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
      }
      await guarded.close();
    });
  });

  describe('approval lists', () => {
    const list = async (query: string) => {
      const { status, body } = await api.get<{ items: ApprovalSummary[]; nextCursor?: string }>(
        `/v1/approvals?${query}`,
      );
      expect(status).toBe(200);
      return body;
    };
    const ids = async (query: string) => (await list(query)).items.map(({ approvalId }) => approvalId);

    test('lists approvals with their details, and shows a decision immediately', async () => {
      const [lead, boss] = [makeApprover(), makeApprover()];
      const requestedBy = `requester-${randomUUID()}`;
      const amount = { value: 1_250_000, currency: 'HUF' };
      const first = await startNotifiedApproval({
        requestedBy,
        amount,
        stages: [makeStage({ id: lead.id }), makeStage({ id: boss.id })],
      });
      await hasStarted(first.approvalId);
      const second = await startNotifiedApproval({
        requestedBy,
        stages: [makeStage({ id: lead.id }, { id: boss.id }, { id: requestedBy })],
      });
      const { deadline } = await hasStarted(second.approvalId);

      const { items } = await list(`requestedBy=${requestedBy}`);
      expect(items).toMatchObject([
        { approvalId: second.approvalId, approvers: [lead.id, boss.id], stage: 1, stages: 1, deadline },
        { approvalId: first.approvalId, status: 'pending', title: 'May we?', requestedBy, amount, stage: 1, stages: 2 },
      ]);
      expect(await ids(`approver=${lead.id}`)).toEqual([second.approvalId, first.approvalId]);
      expect(await ids(`approver=${boss.id}`)).toEqual([second.approvalId]);
      expect(await ids(`approver=${requestedBy}`)).toEqual([]);

      expect((await decide(second.approvalId, { approver: boss.id, decision: 'reject' })).status).toBe(200);
      expect(await ids(`approver=${lead.id}`)).toEqual([first.approvalId]);
      expect(await ids(`requestedBy=${requestedBy}&status=pending`)).toEqual([first.approvalId]);
      expect((await list(`requestedBy=${requestedBy}&status=rejected`)).items).toMatchObject([
        { approvalId: second.approvalId, status: 'rejected', approvers: [], closedAt: expect.any(String) },
      ]);
      expect((await api.get('/v1/approvals?status=open')).status).toBe(400);
    });

    test('the approval list neither repeats nor skips an approval when approvals close between two pages', async () => {
      const requestedBy = `requester-${randomUUID()}`;
      const inputs: ApprovalInput[] = [];
      for (let count = 0; count < 6; count += 1) {
        const input = await startNotifiedApproval({ requestedBy });
        await hasStarted(input.approvalId);
        inputs.push(input);
      }
      const newestFirst = inputs.map(({ approvalId }) => approvalId).reverse();
      const seen: string[] = [];
      let cursor = '';
      for (;;) {
        const { items, nextCursor } = await list(`requestedBy=${requestedBy}&limit=2${cursor && `&cursor=${cursor}`}`);
        seen.push(...items.map(({ approvalId }) => approvalId));
        if (!nextCursor) break;
        cursor = nextCursor;
        // Decides one approval that was already listed and one approval of the last page.
        for (const approvalId of [seen.at(-1)!, newestFirst[5]!])
          await decide(approvalId, { approver: 'lead', decision: 'approve' });
      }
      expect(seen).toEqual(newestFirst);
    });

    test('does not list a workflow whose id is not a valid approval workflow id', async () => {
      const requestedBy = `requester-${randomUUID()}`;
      const input = makeApproval({ requestedBy, stages: [makeStage({ id: 'lead' })] });
      const start = async (workflowId: string, taskQueue: string) => {
        await shop.client.workflow.start('approval', { workflowId, taskQueue, args: [input] });
      };
      await start(input.approvalId, 'approvals');
      await start('approval:not/an/id', 'approvals');
      await start(`approval:nobody-runs-${input.approvalId}`, 'nobody');
      const own = await startNotifiedApproval({ requestedBy });
      await hasStarted(own.approvalId);
      await waitUntil(
        async () => {
          const { count } = await shop.client.workflow.count(`WorkflowId = '${approvalWorkflowId(own.approvalId)}'`);
          return count > 0 || undefined;
        },
        { description: 'visibility', timeoutMs: 10_000 },
      );
      expect(await ids(`requestedBy=${requestedBy}`)).toEqual([own.approvalId]);
      await shop.client.workflow.getHandle(`approval:nobody-runs-${input.approvalId}`).terminate();
    });
  });

  describe('POST /v1/callbacks/approvals', () => {
    const PATH = '/v1/callbacks/approvals';

    test('a callback that is delivered twice is recorded once', async () => {
      const receiver = await startWebhookReceiver();
      const { approvalId } = await startNotifiedApproval({
        stages: [makeStage({ id: 'robot', webhookUrl: receiver.url })],
      });
      const handle = shop.client.workflow.getHandle(approvalWorkflowId(approvalId));
      const hasSignal = async () => {
        const { events } = await handle.fetchHistory();
        return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes).length;
      };
      // The sender is not an approver, so the approval stays open for the second delivery.
      const otherCaller = signDecision(
        { approvalId, approver: 'stranger', decision: 'approve' },
        { webhookId: 'msg_1' },
      );
      expect((await api.request('POST', PATH, otherCaller)).status).toBe(202);
      expect((await api.request('POST', PATH, otherCaller)).status).toBe(202);
      const decision = signDecision({ approvalId, approver: 'robot', decision: 'reject', comment: 'too much' });
      const { status, body } = await api.request('POST', PATH, decision);
      expect([status, body]).toEqual([202, { status: 'accepted' }]);
      await closed(approvalId);
      expect(await hasSignal(), 'the second delivery sends no signal').toBe(2);
      expect((await get(approvalId)).body).toMatchObject({
        status: 'rejected',
        decision: { approver: 'robot', via: 'webhook', comment: 'too much' },
      });
      expect((await api.request('POST', PATH, decision)).status).toBe(200);
      await receiver.close();
    });

    test('ignores unknown fields of a signed decision', async () => {
      const receiver = await startWebhookReceiver();
      const { approvalId } = await startNotifiedApproval({
        stages: [makeStage({ id: 'robot', webhookUrl: receiver.url })],
      });
      const decision = { approvalId, approver: 'robot', decision: 'approve' };
      const send = (body: object) => api.request('POST', PATH, signDecision(JSON.stringify(body)));
      const wrong = await send({ ...decision, decision: 7 });
      expect([wrong.status, wrong.body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/decision']]);
      const newer = await send({ ...decision, schemaVersion: 2, policy: { name: 'p1' } });
      expect([newer.status, newer.body]).toEqual([202, { status: 'accepted' }]);
      await closed(approvalId);
      expect((await get(approvalId)).body).toMatchObject({ status: 'approved', decision: { approver: 'robot' } });
      await receiver.close();
    });

    const countReports = async (reason: string): Promise<number> => {
      const lines = (await registry.metrics()).split('\n');
      const line = lines.find((each) => each.includes(`callback="approvals",reason="${reason}"`));
      return Number(line?.split(' ').at(-1));
    };

    test('returns 200 for a callback with an unknown verdict, counts the callback and records the verdict in the trail of the open approval', async () => {
      const { approvalId } = await startNotifiedApproval();
      await hasStarted(approvalId);
      const before = await countReports('unknown_verdict');
      const text = JSON.stringify({ approvalId, approver: 'lead', decision: 'escalate' });

      const { status, body } = await api.request('POST', PATH, signDecision(text));

      const ignored = { status: 'ignored', detail: 'the decision must be "approve" or "reject"' };
      expect([status, body]).toEqual([200, ignored]);
      expect(await countReports('unknown_verdict')).toBe(before + 1);
      const hasTrailEntry = async () => (await get(approvalId)).body.trail[1];
      await expect.poll(hasTrailEntry).toMatchObject({ event: 'ignored', reason: { type: 'InvalidInput' } });
      await decide(approvalId, { approver: 'lead', decision: 'approve' });
      await closed(approvalId);
      expect((await api.request('POST', PATH, signDecision(text))).status).toBe(200);
      expect(await countReports('unknown_verdict')).toBe(before + 2);
    });

    test('returns 200 for a callback about a closed approval, and counts the callback', async () => {
      const { approvalId } = await startNotifiedApproval();
      await decide(approvalId, { approver: 'lead', decision: 'approve' });
      await closed(approvalId);
      const before = await countReports('approval_closed');

      const { status, body } = await api.request(
        'POST',
        PATH,
        signDecision({ approvalId, approver: 'lead', decision: 'reject' }),
      );

      expect([status, body]).toEqual([200, { status: 'ignored', detail: 'the approval has already closed' }]);
      expect(await countReports('approval_closed')).toBe(before + 1);
    });

    test('rejects a callback with 401 when its signature is missing, expired or made with another secret', async () => {
      const { approvalId } = await startNotifiedApproval();
      const decision = { approvalId, approver: 'lead', decision: 'approve' } as const;
      const secret = `whsec_${Buffer.from('x'.repeat(32)).toString('base64')}`;
      const old = new Date(Date.now() - 6 * 60_000);
      for (const request of [
        signDecision(decision, { secret }),
        signDecision(decision, { timestamp: old }),
        { json: decision },
      ]) {
        expect((await api.request('POST', PATH, request)).status).toBe(401);
      }
      expect((await hasStarted(approvalId)).trail).toHaveLength(1);
    });

    test('an approval callback returns 404 for an unknown approval and 413 for a body that is too large', async () => {
      const decision = { approvalId: randomUUID(), approver: 'lead', decision: 'approve' } as const;
      expect((await api.request('POST', PATH, signDecision(decision))).status).toBe(404);
      const large = signDecision(JSON.stringify({ ...decision, comment: 'x'.repeat(300 * 1024) }));
      expect((await api.request('POST', PATH, large)).status).toBe(413);
    });
  });

  // This is the last test, because it stops the worker.
  test('without a worker, the API accepts callbacks and returns 503 for decisions, and a later worker processes both', async () => {
    const receiver = await startWebhookReceiver();
    const robot = await startNotifiedApproval({ stages: [makeStage({ id: 'robot', webhookUrl: receiver.url })] });
    const person = await startNotifiedApproval();
    await get(robot.approvalId);
    await worker.stop();

    const decision = signDecision({ approvalId: robot.approvalId, approver: 'robot', decision: 'approve' });
    expect((await api.request('POST', '/v1/callbacks/approvals', decision)).status).toBe(202);
    const rejected = await decide(person.approvalId, { approver: 'lead', decision: 'approve' });
    expect(rejected.status).toBe(503);
    expect(rejected.headers.get('retry-after')).toMatch(/^\d+$/);

    worker = await startWorker(server, shop, { taskQueues: ['approvals', 'orders', 'payments'] });
    await closed(robot.approvalId);
    expect((await get(robot.approvalId)).body).toMatchObject({ status: 'approved', decision: { via: 'webhook' } });
    expect((await decide(person.approvalId, { approver: 'lead', decision: 'approve' })).status).toBe(200);
    await receiver.close();
  });
});
