import { AsyncLocalStorage } from 'node:async_hooks';
import { status } from '@grpc/grpc-js';
import {
  ActivityExecutionAlreadyStartedError,
  ServiceError,
  WorkflowFailedError,
  type Client,
} from '@temporalio/client';
import {
  ActivityCancellationDetails,
  CancelledFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
  type TemporalFailure,
} from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { createApprovalActivities, type ApprovalActivitiesDependencies } from '../../src/activities/approvals.js';
import type { ApprovalView } from '../../src/schemas/approval.js';
import { DAY_SECONDS, makeApproval } from '../support/shop/approvals.js';

const request = makeApproval({
  stages: [{ approvers: [{ id: 'a', email: 'a@example.com' }], timeoutSeconds: DAY_SECONDS }],
});

/** `awaitExistingApproval` needs nothing but the client. */
const { awaitExistingApproval } = createApprovalActivities({} as ApprovalActivitiesDependencies);

/** A client that knows one approval. It aborts calls with the signal of their context, as the SDK documents. */
class FakeClient {
  readonly options = {
    namespace: 'default',
    loadedDataConverter: {
      payloadConverter: defaultPayloadConverter,
      failureConverter: defaultFailureConverter,
      payloadCodecs: [],
    },
  };
  /** Events in their order: requests of a cancellation, and the end of the approval. */
  readonly events: string[] = [];
  failingCancelRequests = 0;
  close!: (outcome: { status: ApprovalView['status'] } | { failure: TemporalFailure }) => void;
  private readonly closed: Promise<unknown>;
  private readonly signals = new AsyncLocalStorage<AbortSignal>();
  private onResult!: () => void;
  readonly resultRequested = new Promise<void>((resolve) => (this.onResult = resolve));
  private onCancel!: () => void;
  readonly cancelRequested = new Promise<void>((resolve) => (this.onCancel = resolve));

  constructor() {
    this.closed = new Promise((resolve, reject) => {
      this.close = (outcome) => {
        this.events.push('closed');
        if ('status' in outcome) resolve(outcome);
        else reject(new WorkflowFailedError('approval failed', outcome.failure, 'NON_RETRYABLE_FAILURE'));
      };
    });
    this.closed.catch(() => undefined);
  }

  readonly workflowService = {
    getWorkflowExecutionHistory: () => {
      const payloads = [defaultPayloadConverter.toPayload(request)];
      return Promise.resolve({
        history: { events: [{ workflowExecutionStartedEventAttributes: { input: { payloads } } }] },
      });
    },
  };

  readonly workflow = {
    getHandle: () => ({
      result: () => {
        this.onResult();
        return this.bound(() => this.closed);
      },
      cancel: () =>
        this.bound(() => {
          this.events.push('cancel requested');
          this.onCancel();
          return this.failingCancelRequests-- > 0 ? Promise.reject(new Error('unavailable')) : Promise.resolve();
        }),
    }),
  };

  async withAbortSignal<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    return await this.signals.run(signal, run);
  }

  /** Runs a call, and rejects when the signal of its context is aborted. */
  private async bound<T>(call: () => Promise<T>): Promise<T> {
    const signal = this.signals.getStore();
    signal?.throwIfAborted();
    const aborted = new Promise<never>((_resolve, reject) =>
      signal?.addEventListener('abort', () => reject(signal.reason as Error)),
    );
    return await Promise.race([call(), aborted]);
  }
}

/** Runs the activity until it waits for the outcome. */
async function joinApproval() {
  const client = new FakeClient();
  const env = new MockActivityEnvironment(undefined, {
    logger: new DefaultLogger('ERROR'),
    client: client as unknown as Client,
  });
  const outcome = env.run(awaitExistingApproval, request).then(
    (status) => status,
    (error: unknown) => (error instanceof CancelledFailure ? 'activity cancelled' : error),
  );
  await client.resultRequested;
  return { client, outcome, cancel: env.cancel };
}

test.each(['approved', 'rejected', 'timed_out', 'withdrawn'] as const)(
  'awaitExistingApproval returns the outcome %s',
  async (status) => {
    const { client, outcome } = await joinApproval();
    client.close({ status });

    expect(await outcome).toBe(status);
    expect(client.events).toEqual(['closed']);
  },
);

test.each([
  ['the worker shuts down', 'WORKER_SHUTDOWN', { workerShutdown: true }],
  ['a worker shutdown evicts the activity', 'WORKER_SHUTDOWN', {}],
  ['the order was reset or terminated', 'NOT_FOUND', { notFound: true }],
  ['the activity is paused', 'PAUSED', { paused: true }],
  ['the activity is reset', 'RESET', { reset: true }],
  ['the activity has timed out', 'TIMED_OUT', { timedOut: true }],
] as const)('awaitExistingApproval keeps the approval open when %s', async (_description, reason, details) => {
  const { client, outcome, cancel } = await joinApproval();
  cancel(reason, new ActivityCancellationDetails(details));

  expect(await outcome).toBe('activity cancelled');
  expect(client.events).toEqual([]);
});

test('awaitExistingApproval withdraws the approval when it is cancelled, and ends after the approval', async () => {
  const { client, outcome, cancel } = await joinApproval();
  let isEnded = false;
  void outcome.then(() => (isEnded = true));
  cancel();
  await client.cancelRequested;
  await new Promise(setImmediate);
  expect(isEnded).toBe(false);
  client.close({ failure: new CancelledFailure('withdrawn') });

  expect(await outcome).toBe('activity cancelled');
  expect(client.events).toEqual(['cancel requested', 'closed']);
});

test('awaitExistingApproval retries a failed withdrawal', async () => {
  const { client, outcome, cancel } = await joinApproval();
  client.failingCancelRequests = 1;
  cancel();
  await client.cancelRequested;
  client.close({ failure: new CancelledFailure('withdrawn') });

  expect(await outcome).toBe('activity cancelled');
  expect(client.events.filter((event) => event === 'cancel requested')).toHaveLength(2);
});

test('awaitExistingApproval returns a decision that precedes the withdrawal', async () => {
  const { client, outcome, cancel } = await joinApproval();
  cancel();
  await client.cancelRequested;
  client.close({ status: 'approved' });

  expect(await outcome).toBe('approved');
});

const report = {
  callbackUrl: 'https://example.com/hook',
  firstRunId: 'run',
  outcome: { approvalId: request.approvalId, status: 'approved' },
} as const;

/** Runs `startOutcomeReport` with a client that calls `start` to start a standalone activity. */
async function startReport(start: () => Promise<unknown>, standaloneReports = true): Promise<string> {
  const { startOutcomeReport } = createApprovalActivities({ standaloneReports } as ApprovalActivitiesDependencies);
  const client = { activity: { start }, withAbortSignal: (_signal: AbortSignal, run: () => unknown) => run() };
  const env = new MockActivityEnvironment(undefined, {
    logger: new DefaultLogger('ERROR'),
    client: client as unknown as Client,
  });
  return await env.run(startOutcomeReport, report);
}

const grpcError = (code: status) =>
  new ServiceError('Failed to start activity', {
    cause: Object.assign(new Error(), { code, details: '', metadata: {} }),
  });

test('startOutcomeReport starts a standalone activity, and accepts that the activity exists', async () => {
  expect(await startReport(() => Promise.resolve())).toBe('started');
  const exists = new ActivityExecutionAlreadyStartedError('exists', 'outcome-report:1', 'run');
  expect(await startReport(() => Promise.reject(exists))).toBe('started');
});

test('startOutcomeReport returns unsupported when it is turned off, without calling the server', async () => {
  expect(await startReport(() => Promise.reject(new Error('called')), false)).toBe('unsupported');
});

test.each([status.UNIMPLEMENTED, status.PERMISSION_DENIED])(
  'startOutcomeReport returns unsupported when the server responds with gRPC status %i',
  async (code) => {
    expect(await startReport(() => Promise.reject(grpcError(code)))).toBe('unsupported');
  },
);

test('startOutcomeReport throws the error of an unavailable server', async () => {
  const error = grpcError(status.UNAVAILABLE);
  await expect(startReport(() => Promise.reject(error))).rejects.toBe(error);
});
