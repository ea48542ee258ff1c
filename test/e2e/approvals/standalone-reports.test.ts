import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import {
  offersStandaloneActivities,
  readStandaloneActivity,
} from '../../../src/temporal/client/standalone-activities.js';
import { decideUpdate, outcomeReportId } from '../../../src/workflows/approval/contract.js';
import { runErase } from '../../../tools/erase/run-erase.js';
import { startApi, type Api } from '../../support/api/api.js';
import { startWebhookReceiver, type WebhookReceiver } from '../../support/network/webhook-receiver.js';
import { waitUntil } from '../../support/processes.js';
import { makeApproval, makeStage, startApproval, type ApprovalHandle } from '../../support/shop/approvals.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { describeOnFullServer, startFullServer } from '../../support/temporal/full-server.js';
import { resetPoints, resetRun } from '../../support/temporal/resets.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/workers/workers.js';

const SERVER_TIMEOUT_MS = 120_000;

/** The first retry is due after 5 s, the second after another 15 s. */
const RETRY_TIMEOUT_MS = 40_000;

const WORKER_ENV = { WORKER_TASK_QUEUES: 'approvals,housekeeping' };

let server: DevServer;
let shop: Shop;
let api: Api;
let worker: WorkerProcess;
let receiver: WebhookReceiver;

function useShopOn(startServer: () => Promise<DevServer>, env: Record<string, string> = {}): void {
  beforeAll(async () => {
    server = await startServer();
    shop = await startShop(server, { withWorker: false });
    worker = await startWorkerProcess(server, shop, { ...WORKER_ENV, ...env });
    api = await startApi(shop);
  }, SERVER_TIMEOUT_MS);
  afterAll(async () => {
    await api?.close();
    await worker?.stop(10_000);
    await shop?.close();
  });
  beforeEach(async () => {
    receiver = await startWebhookReceiver();
  });
  afterEach(async () => {
    await receiver.close();
  });
}

/** Starts an approval with a callback URL, and approves it. */
async function startApproved(requestedBy = 'somebody'): Promise<{ approvalId: string; handle: ApprovalHandle }> {
  const input = makeApproval({ requestedBy, stages: [makeStage({ id: 'now' })], callbackUrl: receiver.url });
  const handle = await startApproval(shop.client, input);
  await handle.executeUpdate(decideUpdate, { args: [{ approver: 'now', decision: 'approve' }] });
  return { approvalId: input.approvalId, handle };
}

async function waitForReport(
  approvalId: string,
  expected: (approval: ApprovalResource) => boolean,
  what: string,
): Promise<ApprovalResource> {
  const poll = async () => {
    const { body } = await api.get<ApprovalResource>(`/v1/approvals/${approvalId}`);
    return expected(body) ? body : undefined;
  };
  return await waitUntil(poll, { description: `approval ${approvalId}: ${what}`, timeoutMs: RETRY_TIMEOUT_MS });
}

const waitForDelivery = (approvalId: string, status: 'delivered' | 'failed') =>
  waitForReport(approvalId, ({ callbackDelivery }) => callbackDelivery?.status === status, `report ${status}`);
const waitForRetry = (approvalId: string) =>
  waitForReport(approvalId, ({ retrying }) => retrying !== undefined, 'report retried');
const receivedIds = () => receiver.received.map(({ headers }) => headers['webhook-id']);
const reportOf = (approvalId: string) => shop.client.activity.getHandle(outcomeReportId(approvalId));
const activityTypesOf = async (handle: ApprovalHandle) =>
  ((await handle.fetchHistory()).events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );

/** Resets a closed approval to its first workflow task, so that all its activities run again. */
async function restart(handle: ApprovalHandle) {
  const [first] = await resetPoints(handle);
  const { runId } = await handle.describe();
  return await resetRun(shop.client, { workflowId: handle.workflowId, runId }, first!);
}

describeOnFullServer('the report of an outcome on a server with standalone activities', () => {
  useShopOn(startFullServer);

  test('the server offers standalone activities', async () => {
    expect(await offersStandaloneActivities(server.nativeConnection, server.namespace)).toBe(true);
  });

  test('is delivered once by a standalone activity, and the store keeps the delivery', async () => {
    const { approvalId, handle } = await startApproved();
    const activityId = outcomeReportId(approvalId);
    // The workflow returns `delivered` if the activity was faster.
    expect((await handle.result()).callbackDelivery?.activityId).toBe(activityId);
    await reportOf(approvalId).result();

    expect((await waitForDelivery(approvalId, 'delivered')).callbackDelivery).toEqual({
      status: 'delivered',
      activityId,
    });
    expect(receiver.received).toHaveLength(1);
    expect((await shop.store.findApproval(approvalId))?.finalView?.callbackDelivery?.status).toBe('delivered');
    expect(await activityTypesOf(handle)).not.toContain('reportOutcome');
  });

  test('blocks the erasure of its requester while it runs, and is deleted with their data', async () => {
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved('requester-to-erase');
    await handle.result();
    await waitForRetry(approvalId);
    const erase = async () => {
      const lines: string[] = [];
      const print = (text: string) => lines.push(text);
      const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
      const code = await runErase(['customer', 'requester-to-erase', '--yes'], { env, print, printError: print });
      return { code, output: lines.join('\n') };
    };
    const containing = (text: string) => expect.stringContaining(text) as string;
    expect(await erase()).toEqual({ code: 1, output: containing(`${approvalId}: its outcome is being reported`) });

    receiver.respondWith(200);
    await reportOf(approvalId).result();
    await waitUntil(
      async () => {
        const { code, output } = await erase();
        if (code === 2) throw new Error(output);
        return code === 0 || undefined;
      },
      { description: 'the erasure', timeoutMs: RETRY_TIMEOUT_MS },
    );
    await waitUntil(
      async () => (await readStandaloneActivity(shop.client, outcomeReportId(approvalId))) === undefined || undefined,
      { description: 'the deletion of the report', timeoutMs: RETRY_TIMEOUT_MS },
    );
  });

  test('continues after the approval has closed until the receiver is available again', async () => {
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved();
    await handle.result();
    expect((await handle.describe()).status.name).toBe('COMPLETED');

    expect(await waitForRetry(approvalId)).toMatchObject({
      status: 'approved',
      callbackDelivery: { status: 'pending' },
      retrying: [
        {
          step: 'reportOutcome',
          attempt: 2,
          nextAttemptAt: expect.any(String),
          lastFailure: { type: 'ReceiverUnavailable', message: expect.stringContaining('503') },
        },
      ],
    });
    receiver.respondWith(204);
    expect(await waitForDelivery(approvalId, 'delivered')).not.toHaveProperty('retrying');
    expect(new Set(receivedIds()).size).toBe(1);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  });

  test('runs once when the approval starts it again, while it runs and after it was delivered', async () => {
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved();
    await handle.result();
    await waitForRetry(approvalId);
    const { activityRunId } = await reportOf(approvalId).describe();

    const second = await restart(handle);
    await second.result();
    expect((await reportOf(approvalId).describe()).activityRunId).toBe(activityRunId);
    receiver.respondWith(204);
    await waitForDelivery(approvalId, 'delivered');
    const sent = receiver.received.length;

    const third = await restart(handle);
    expect((await third.result()) as object).toMatchObject({ callbackDelivery: { status: 'delivered' } });
    expect((await reportOf(approvalId).describe()).activityRunId).toBe(activityRunId);
    expect(receiver.received).toHaveLength(sent);
    expect(new Set(receivedIds()).size).toBe(1);
  });

  test('ends as failed when an operator cancels it, and runs again after a reset of the approval', async () => {
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved();
    await handle.result();
    await waitForRetry(approvalId);
    await reportOf(approvalId).cancel('the receiver is gone for ever');
    expect((await waitForDelivery(approvalId, 'failed')).callbackDelivery?.reason?.type).toBe('CancelledFailure');

    receiver.respondWith(204);
    await (await restart(handle)).result();
    await waitForDelivery(approvalId, 'delivered');
    expect(new Set(receivedIds()).size).toBe(1);
  });

  test('stays pending while an operator has paused it', async () => {
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved();
    await handle.result();
    await waitForRetry(approvalId);
    await reportOf(approvalId).pause({ reason: 'maintenance of the receiver' });
    const isPaused = ({ retrying }: ApprovalResource) => retrying?.[0]?.nextAttemptAt === undefined;
    expect(await waitForReport(approvalId, isPaused, 'report paused')).toMatchObject({
      callbackDelivery: { status: 'pending' },
      retrying: [{ step: 'reportOutcome', lastFailure: { type: 'ReceiverUnavailable' } }],
    });

    receiver.respondWith(204);
    await reportOf(approvalId).unpause();
    await waitForDelivery(approvalId, 'delivered');
  });

  test('is retried after a malformed response, and ends as failed when the receiver responds 410', async () => {
    receiver.respondWith({ malformed: 'no HTTP\r\n\r\n' });
    const { approvalId } = await startApproved();
    const { retrying } = await waitForRetry(approvalId);
    expect(retrying?.[0]?.lastFailure?.type).toBe('ReceiverUnavailable');

    receiver.respondWith(410);
    const { callbackDelivery } = await waitForDelivery(approvalId, 'failed');
    expect(callbackDelivery).toMatchObject({ reason: { type: 'ReceiverGone' } });
    expect(receiver.received).toHaveLength(2);
  });

  test('shows as failed when the server has deleted an activity that did not deliver it', async () => {
    receiver.respondWith(410);
    const { approvalId } = await startApproved();
    await waitForDelivery(approvalId, 'failed');
    const { namespace } = server;
    await shop.client.workflowService.deleteActivityExecution({ namespace, activityId: outcomeReportId(approvalId) });
    const isDeleted = ({ callbackDelivery }: ApprovalResource) => callbackDelivery?.reason?.type === 'ReportEnded';
    await waitForReport(approvalId, isDeleted, 'report deleted');
  });

  test('is sent again with the same id when the worker is killed before the receiver has responded', async () => {
    receiver.respondWith('none');
    const { approvalId } = await startApproved();
    await waitUntil(() => receiver.received[0], { description: 'the first attempt', timeoutMs: RETRY_TIMEOUT_MS });
    worker.kill('SIGKILL');
    await worker.exited;
    receiver.respondWith(204);
    worker = await startWorkerProcess(server, shop, WORKER_ENV);

    // The server notices the lost attempt after 30 s.
    await reportOf(approvalId).result();
    await waitForDelivery(approvalId, 'delivered');
    expect(receiver.received).toHaveLength(2);
    expect(new Set(receivedIds()).size).toBe(1);
  }, 90_000);
});

describeOnFullServer('the report of an outcome with STANDALONE_OUTCOME_REPORTS=false', () => {
  useShopOn(startFullServer, { STANDALONE_OUTCOME_REPORTS: 'false' });

  test('is part of the approval workflow', async () => {
    const { approvalId, handle } = await startApproved();
    expect((await handle.result()).callbackDelivery).toEqual({ status: 'delivered' });
    await expect(reportOf(approvalId).describe()).rejects.toThrow();
    expect(receiver.received).toHaveLength(1);
  });
});

describeOnDevServer('the report of an outcome on a server without standalone activities', () => {
  // A newer dev server offers standalone activities unless this setting turns them off.
  useShopOn(() => startDevServer({ dynamicConfig: ['activity.enableStandalone=false'] }));

  test('is part of the approval workflow, which stays open until the receiver is available', async () => {
    expect(await offersStandaloneActivities(server.nativeConnection, server.namespace)).toBe(false);
    receiver.respondWith(503);
    const { approvalId, handle } = await startApproved();
    await waitForRetry(approvalId);
    expect((await handle.describe()).status.name).toBe('RUNNING');

    receiver.respondWith(204);
    expect((await handle.result()).callbackDelivery).toEqual({ status: 'delivered' });
    expect(await activityTypesOf(handle)).toEqual(expect.arrayContaining(['startOutcomeReport', 'reportOutcome']));
    expect(new Set(receivedIds()).size).toBe(1);
  });
});
