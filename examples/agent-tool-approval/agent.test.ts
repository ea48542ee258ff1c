import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startApi, type Api } from '../../test/support/api/api.js';
import { waitUntil } from '../../test/support/processes.js';
import { startShop, type Shop } from '../../test/support/shop/shop.js';
import { OUTGOING_WEBHOOK_SECRET } from '../../test/support/shop/test-activities.js';
import { describeOnDevServer, startDevServer } from '../../test/support/temporal/dev-server.js';
import { runAgent, type ToolCall } from './agent.js';
import { startApprovalClient } from './approvals.js';
import { fakeModel } from './fake-model.js';

describeOnDevServer('an agent whose tool call needs an approval', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['approvals'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  /** Starts an agent. Agents of the same conversation share the refunds and the approval. */
  async function startConversation() {
    const conversationId = randomUUID();
    const refunds = new Map<string, ToolCall>();
    const approvals = await startApprovalClient({ apiUrl: api.url, webhookSecret: OUTGOING_WEBHOOK_SECRET });
    onTestFinished(() => approvals.close());
    const approvalId = `${conversationId}.call-1`;
    const start = () =>
      runAgent('Refund my order.', {
        model: fakeModel,
        tools: {
          refund: {
            needsApproval: true,
            run: async (call) => {
              refunds.set(call.id, call);
              return 'Refunded.';
            },
          },
        },
        approve: (call) =>
          approvals.request({
            approvalId: `${conversationId}.${call.id}`,
            title: `May the agent call ${call.name}?`,
            description: JSON.stringify(call.arguments),
            requestedBy: 'agent',
            stages: [{ approvers: [{ id: 'grace' }], timeoutSeconds: 3_600 }],
          }),
      });
    const requested = () =>
      waitUntil(async () => (await api.get(`/v1/approvals/${approvalId}`)).status === 200 || undefined, {
        description: 'the approval of the tool call',
        timeoutMs: 20_000,
      });
    const decide = async (decision: 'approve' | 'reject', comment?: string) => {
      await requested();
      const body = { approver: 'grace', decision, ...(comment && { comment }) };
      expect((await api.post(`/v1/approvals/${approvalId}/decision`, body)).status).toBe(200);
    };
    return { start, decide, requested, refunds };
  }

  test('an approved tool call runs, and the agent resumes with its result', async () => {
    const { start, decide, refunds } = await startConversation();
    const answer = start();
    await decide('approve');
    expect(await answer).toBe('Refunded.');
    expect([...refunds.values()]).toMatchObject([{ arguments: { orderId: 'order-1001' } }]);
  });

  test('a rejected tool call does not run, and the model gets the comment', async () => {
    const { start, decide, refunds } = await startConversation();
    const answer = start();
    await decide('reject', 'the parcel was delivered');
    expect(await answer).toBe(
      'The call was not run, because its approval ended as rejected: the parcel was delivered.',
    );
    expect(refunds.size).toBe(0);
  });

  test('an agent that starts again waits for the same approval', async () => {
    const { start, decide, requested, refunds } = await startConversation();
    void start().catch(() => undefined);
    await requested();
    const resumed = start();
    await decide('approve');
    expect(await resumed).toBe('Refunded.');
    expect(await start()).toBe('Refunded.');
    expect(refunds.size).toBe(1);
  });
});
