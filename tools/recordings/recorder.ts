import {
  Client,
  type Connection,
  WorkflowFailedError,
  WorkflowNotFoundError,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { openConnection } from '../../src/temporal/connections.js';
import type { EraseInput } from '../../src/schemas/erasure.js';
import type { ApprovalInput, ApprovalView } from '../../src/schemas/approval.js';
import type { BatchInput } from '../../src/schemas/batch.js';
import type { CartInput } from '../../src/schemas/cart.js';
import type { OrderInput, OrderStage, OrderStatus, OrderView, ShipmentReport } from '../../src/schemas/order.js';
import type { TaskQueue } from '../../src/temporal/task-queues.js';
import { approvalQuery, APPROVAL_TASK_QUEUE, approvalWorkflowId } from '../../src/workflows/approval/contract.js';
import { BATCH_TASK_QUEUE, batchWorkflowId } from '../../src/workflows/batch/contract.js';
import { CART_TASK_QUEUE, cartWorkflowId } from '../../src/workflows/cart/contract.js';
import {
  ERASE_WORKFLOW_TYPE,
  HOUSEKEEPING_TASK_QUEUE,
  type HousekeepingWorkflow,
} from '../../src/workflows/housekeeping/contract.js';
import type * as workflows from '../../src/workflows/index.js';
import {
  ORDER_WORKFLOW_TYPE,
  orderQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
} from '../../src/workflows/order/contract.js';
import type { StackAddresses } from '../stack/stack.js';
import { waitUntil } from '../processes/wait.js';

/** The run whose history is written. Without `runId`, the newest run. */
export interface RecordedRun {
  workflowId: string;
  runId?: string;
}

/** Runs a workflow with the given id to the outcome of this recording. */
export type Recording = (recorder: Recorder, id: string) => Promise<RecordedRun>;

export type ApprovalHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.approval>;

export type OrderHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.order>;

/** Starts workflows on a stack and controls the fakes. */
export class Recorder {
  private readonly client: Client;
  private readonly approvalClient: Client;
  private readonly fakesUrl: string;
  private readonly apiUrl: string;

  private constructor(connection: Connection, addresses: StackAddresses, approvalNamespace: string) {
    this.client = new Client({ connection, namespace: addresses.temporalNamespace });
    this.approvalClient = new Client({ connection, namespace: approvalNamespace });
    this.fakesUrl = new URL(addresses.carrierUrl).origin;
    this.apiUrl = addresses.apiUrl;
  }

  static async connect(addresses: StackAddresses, approvalNamespace = addresses.temporalNamespace): Promise<Recorder> {
    const connection = await openConnection({ TEMPORAL_ADDRESS: addresses.temporalAddress });
    return new Recorder(connection, addresses, approvalNamespace);
  }

  /** Returns the URL of a webhook receiver that always responds with this status. */
  webhookReceiverUrl(status: number): string {
    return `${this.fakesUrl}/test/responses/${status}`;
  }

  async startOrder(orderId: string, overrides: Partial<Record<keyof OrderInput, unknown>> = {}): Promise<OrderHandle> {
    const input = {
      orderId,
      customerId: 'recorder',
      lines: [{ sku: 'MUG-ENAMEL', quantity: 2 }],
      payment: { token: 'tok_ok' },
      ...overrides,
    };
    return await this.client.workflow.start<typeof workflows.order>(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input as OrderInput],
    });
  }

  async startCart(cartId: string, overrides: Partial<Record<keyof CartInput, unknown>> = {}) {
    return await this.client.workflow.start<typeof workflows.cart>('cart', {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId, ...overrides } as CartInput],
    });
  }

  async startApproval(approvalId: string, overrides: Partial<Record<keyof ApprovalInput, unknown>> = {}) {
    const input = {
      approvalId,
      title: 'An approval for a recording',
      requestedBy: 'recorder',
      stages: [{ approvers: [{ id: 'lead', email: 'lead@example.com' }], timeoutSeconds: 60 }],
      ...overrides,
    };
    return await this.client.workflow.start<typeof workflows.approval>('approval', {
      workflowId: approvalWorkflowId(approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      args: [input as ApprovalInput],
    });
  }

  /** Starts a batch: uploads a restock with one item per chunk. */
  async startBatch(batchId: string, items: readonly unknown[]): Promise<WorkflowHandle<typeof workflows.batch>> {
    const query = new URLSearchParams({ operation: 'restock', batchId, itemsPerChunk: '1' });
    const response = await fetch(`${this.apiUrl}/v1/batches?${query.toString()}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: items.map((item) => JSON.stringify(item)).join('\n'),
    });
    if (!response.ok) throw new Error(`the upload returned ${response.status}: ${await response.text()}`);
    return this.client.workflow.getHandle<typeof workflows.batch>(batchWorkflowId(batchId));
  }

  /** Starts or restarts a batch directly, without the API. */
  async runBatch(batchId: string, input: unknown = { batchId }) {
    return await this.client.workflow.start<typeof workflows.batch>('batch', {
      workflowId: batchWorkflowId(batchId),
      taskQueue: BATCH_TASK_QUEUE,
      args: [input as BatchInput],
    });
  }

  async startHousekeeping(workflow: HousekeepingWorkflow, id: string, ...args: unknown[]) {
    return await this.client.workflow.start(workflow, {
      workflowId: `${workflow}-${id}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args,
    });
  }

  /** Starts the workflow of `npm run erase`. Unlike the command, keeps the run. */
  async startErase(id: string, input: EraseInput) {
    return await this.client.workflow.start<typeof workflows.erase>(ERASE_WORKFLOW_TYPE, {
      workflowId: `${ERASE_WORKFLOW_TYPE}-${id}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args: [input],
    });
  }

  /** Starts a workflow of any type. The input can be invalid. */
  async start<T extends Workflow>(
    type: keyof typeof workflows,
    { workflowId, taskQueue, input }: { workflowId: string; taskQueue: TaskQueue; input: unknown },
  ): Promise<WorkflowHandleWithFirstExecutionRunId<T>> {
    const handle = await this.client.workflow.start(type, { workflowId, taskQueue, args: [input] });
    return handle as WorkflowHandleWithFirstExecutionRunId<T>;
  }

  getHandle(workflowId: string, runId?: string): WorkflowHandle {
    return this.client.workflow.getHandle(workflowId, runId);
  }

  /** Returns the approval of an order. */
  getOrderApproval(orderId: string): WorkflowHandle<typeof workflows.approval> {
    return this.approvalClient.workflow.getHandle<typeof workflows.approval>(approvalWorkflowId(`order.${orderId}`));
  }

  /** Waits until every notification has been sent or has failed. */
  async waitForNotifications(
    handle: Pick<ApprovalHandle, 'query' | 'workflowId'>,
    minimumCount = 1,
  ): Promise<ApprovalView> {
    return await waitUntil(
      async () => {
        const view = await handle.query(approvalQuery).catch((error: unknown) => {
          // An approval that is requested over Nexus starts a moment later.
          if (error instanceof WorkflowNotFoundError) return undefined;
          throw error;
        });
        if (!view) return undefined;
        const isNotified =
          view.notifications.length >= minimumCount && view.notifications.every(({ status }) => status !== 'sending');
        return isNotified ? view : undefined;
      },
      { description: `${handle.workflowId} with all notifications sent`, timeoutMs: 60_000 },
    );
  }

  /** Waits until the order has this stage or status. */
  async waitForState(handle: OrderHandle, state: OrderStage | OrderStatus): Promise<OrderView> {
    return await waitUntil(
      async () => {
        const view = await handle.query(orderQuery);
        return view.stage === state || view.status === state ? view : undefined;
      },
      { description: `${handle.workflowId} at ${state}`, timeoutMs: 60_000 },
    );
  }

  /** Calls the test interface of the fakes. */
  async callFakes(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<void> {
    const response = await fetch(`${this.fakesUrl}/test${path}`, {
      method,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} /test${path} returned ${response.status}: ${await response.text()}`);
  }

  async triggerCarrierReport(orderId: string, status: ShipmentReport['status']): Promise<void> {
    await this.callFakes('POST', `/shipments/${orderId}`, { status });
  }

  async close(): Promise<void> {
    await this.client.connection.close();
  }
}

/** Waits until the workflow is closed with any outcome. */
export async function waitForClose(handle: Pick<WorkflowHandle, 'result' | 'workflowId'>): Promise<RecordedRun> {
  await handle.result().catch((error: unknown) => {
    if (!(error instanceof WorkflowFailedError)) throw error;
  });
  return { workflowId: handle.workflowId };
}
