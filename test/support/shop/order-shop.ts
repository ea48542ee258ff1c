import { randomUUID } from 'node:crypto';
import {
  WorkflowFailedError,
  type Client,
  type WorkflowHandleWithFirstExecutionRunId,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { TemporalFailure, type Duration } from '@temporalio/common';
import { inject } from 'vitest';
import { type Balance, type ExpectedOrder, readBalance } from './balance.js';
import { waitUntil } from '../processes.js';
import type { Stage } from '../../../src/schemas/approval.js';
import type { OrderInput, OrderStage, OrderView, ShipmentReport } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { ensureEndpoint } from '../../../src/temporal/nexus-endpoints.js';
import { APPROVAL_TASK_QUEUE } from '../../../src/workflows/approval/contract.js';
import { rootFailure } from '../../../src/workflows/shared/failures.js';
import {
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import type { order } from '../../../src/workflows/order/workflow.js';
import { PAYMENT_ADAPTERS, plainPathOf, type PaymentAdapter } from './payment-gateway.js';
import { createTestActivities } from './test-activities.js';
import { createTestWorkers } from '../workers/create-test-workers.js';
import { fetchEventSummaries } from '../temporal/event-summaries.js';
import { startCarrierWebhookReceiver, type CarrierWebhookReceiver } from '../network/carrier-webhook-receiver.js';
import { makeOrder, addProduct, startShop, type Shop, type TemporalServer } from './shop.js';
import { beforeAllAndRetries } from '../temporal/before-all-and-retries.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../temporal/dev-server.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../temporal/time-skipping-server.js';
import { ActivitySpy, type ActivityAttempt, type ActivityName } from './activity-spy.js';

const DEADLINE_MS = 20_000;

/** A shop that records all activity attempts and receives the carrier's reports. */
export interface OrderShop extends Shop {
  /** The client for the namespace of the approvals. */
  approvalClient: Client;
  activities: ActivitySpy;
  carrierWebhooks: CarrierWebhookReceiver;
  /** Starts an order. By default, the order can complete. */
  placeOrder: (overrides?: PlaceOrderOptions) => Promise<PlacedOrder>;
}

/** A shop on a time-skipping server. */
export interface TimeSkippingOrderShop extends OrderShop {
  /** Skips exactly this much time. A longer timer stays pending. */
  skipTime: (time: Duration) => Promise<void>;
}

interface OrderShopOptions {
  /** The approval stages for orders that need an approval. */
  approvalStages?: Stage[];
  /** The adapter to the payment gateway. Default: the one that `PAYMENTS` names. */
  payments?: PaymentAdapter;
}

/** How an order runs its approval. */
export type ApprovalMode = 'child workflow' | 'Nexus operation';

export const APPROVAL_MODES: readonly ApprovalMode[] = ['child workflow', 'Nexus operation'];

export interface PlaceOrderOptions extends Partial<OrderInput> {
  products?: Product[];
  token?: string;
  startOptions?: Partial<WorkflowStartOptions<typeof order>>;
}

/** A placed order. A test can read its state, its activities, its calls to partners, and its balance. */
export class PlacedOrder implements ExpectedOrder {
  readonly shop: OrderShop;
  readonly input: OrderInput;
  readonly products: Product[];
  readonly handle: WorkflowHandleWithFirstExecutionRunId<typeof order>;

  constructor(shop: OrderShop, { input, products, handle }: Pick<PlacedOrder, 'input' | 'products' | 'handle'>) {
    this.shop = shop;
    this.input = input;
    this.products = products;
    this.handle = handle;
  }

  get orderId(): string {
    return this.input.orderId;
  }

  get lines(): OrderInput['lines'] {
    return this.input.lines;
  }

  get token(): string {
    return this.input.payment.token;
  }

  view(): Promise<OrderView> {
    return this.handle.query(orderQuery);
  }

  /** Waits until the order reaches this stage. */
  async waitForStage(stage: OrderStage): Promise<OrderView> {
    return await this.waitForView((view) => view.stage === stage, stage);
  }

  async waitForView(matches: (view: OrderView) => boolean, what = 'the expected view'): Promise<OrderView> {
    const poll = async () => {
      const view = await this.view();
      return matches(view) ? view : undefined;
    };
    return await waitUntil(poll, {
      description: `order ${this.orderId}: ${what}`,
      timeoutMs: DEADLINE_MS,
      intervalMs: 100,
    });
  }

  /** Makes the carrier move the parcel and report each status. */
  async sendCarrierReports(...statuses: Exclude<ShipmentReport['status'], 'cancelled'>[]): Promise<void> {
    for (const status of statuses) await this.shop.fakes.carrier.reportNow(this.orderId, status);
  }

  /** Waits until the workflow is closed; the server skips time. @throws when the workflow failed. */
  result(): Promise<OrderView> {
    return this.handle.result();
  }

  /** Waits until the workflow is closed and returns its failure. @throws when the order succeeds. */
  async waitForFailure(): Promise<TemporalFailure> {
    try {
      await this.result();
    } catch (error) {
      if (error instanceof WorkflowFailedError && error.cause instanceof TemporalFailure)
        return rootFailure(error.cause);
      throw error;
    }
    throw new Error(`order ${this.orderId} did not fail`);
  }

  balance(options?: { others?: number }): Promise<Balance> {
    return readBalance(this.shop, this, options);
  }

  /** Returns the activities that succeeded, in the order of their start. */
  completedActivities(): ActivityName[] {
    return this.shop.activities.completedActivitiesOf(this.orderId);
  }

  /** Returns the outcome of each attempt of an activity. */
  attemptOutcomes(name: ActivityName): ActivityAttempt['outcome'][] {
    return this.shop.activities.attemptsOf(this.orderId).flatMap((call) => (call.name === name ? [call.outcome] : []));
  }

  /** Returns the paths of the requests that the partners received, in order. */
  partnerRequests(): string[] {
    return this.shop.fakes.records(this.orderId).requests.flatMap(({ path }) => plainPathOf(path) ?? []);
  }

  /** Returns the types of the events in the history. */
  async eventTypes(): Promise<string[]> {
    return (await fetchEventSummaries(this.handle)).map(({ type }) => type);
  }
}

export const newOrderId = (): string => randomUUID();

/**
 * Like `describe`, with a shop on a time-skipping server. If there is no such server, the tests are skipped and the
 * title gives the reason.
 */
export function describeWithOrderShop(
  title: string,
  define: (shop: () => TimeSkippingOrderShop) => void,
  options: OrderShopOptions = {},
): void {
  describeWithTimeSkipping(title, () => {
    const shop = useShop(async () => {
      const server = await startTimeSkippingServer();
      const started = await startOrderShop(server, options);
      return Object.assign(started, { skipTime: (time: Duration) => server.env.sleep(time) });
    });
    define(shop);
  });
}

/** Like `describeWithOrderShop`. Defines the tests once for each adapter to the payment gateway. */
export function describeWithPaymentAdapters(title: string, define: (shop: () => TimeSkippingOrderShop) => void): void {
  for (const payments of PAYMENT_ADAPTERS)
    describeWithOrderShop(`${title}, with the payment adapter ${payments}`, define, { payments });
}

/** Like `describe`, with a shop on a dev server. Defines the tests once for each way in which orders run approvals. */
export function describeWithApprovalModes(
  title: string,
  define: (shop: () => OrderShop, mode: ApprovalMode) => void,
  options: OrderShopOptions = {},
): void {
  for (const mode of APPROVAL_MODES) {
    describeOnDevServer(`${title} as a ${mode}`, () => {
      const shop = useShop(async () => {
        const server = await startDevServer();
        const approvals = mode === 'Nexus operation' ? await openApprovalNamespace(server) : undefined;
        return await startOrderShop(server, options, approvals);
      });
      define(shop, mode);
    });
  }
}

/** Starts a shop before the tests of the surrounding `describe`, and closes the shop after the tests. */
function useShop<S extends OrderShop>(start: () => Promise<S>): () => S {
  let shop: S | undefined;
  beforeAllAndRetries(async () => {
    shop = await start();
    return shop.close;
  });
  return () => {
    if (!shop) throw new Error('the shop has not started yet');
    return shop;
  };
}

/** Opens a namespace with the Nexus endpoint of approvals. */
export async function openApprovalNamespace(server: DevServer): Promise<TemporalServer> {
  const namespace = `approvals-${randomUUID()}`;
  const approvals = await server.openNamespace(namespace);
  await ensureEndpoint(server.connection, { namespace, taskQueue: APPROVAL_TASK_QUEUE });
  return approvals;
}

async function startOrderShop(
  server: TemporalServer,
  options: OrderShopOptions,
  approvals?: TemporalServer,
): Promise<OrderShop> {
  const base = await startShop(server, { withWorker: false });
  const activities = new ActivitySpy();
  const { store, fakes } = base;
  const approvalNamespace = approvals?.namespace;
  const workers = await createTestWorkers({
    connection: server.nativeConnection,
    namespace: server.namespace,
    approvalNamespace,
    workflowBundle: { codePath: inject('workflowBundle') },
    taskQueues: ['orders', 'payments', 'approvals', 'housekeeping'],
    batchConcurrentChunks: 4,
    activities: activities.wrap(createTestActivities({ store, fakes, approvalNamespace, ...options })),
  });
  const running = workers.run();
  const carrierWebhooks = await startCarrierWebhookReceiver(base.client);
  fakes.setCallbackUrl(carrierWebhooks.url);

  const shop: OrderShop = {
    ...base,
    approvalClient: (approvals ?? server).client,
    activities,
    carrierWebhooks: carrierWebhooks,
    async placeOrder({ products, token = 'tok_ok', startOptions, ...overrides } = {}) {
      const sold = products ?? [await addProduct(store)];
      const input = makeOrder({
        lines: sold.map(({ sku }) => ({ sku, quantity: 2 })),
        payment: { token },
        ...overrides,
      });
      const handle = await base.client.workflow.start<typeof order>(ORDER_WORKFLOW_TYPE, {
        workflowId: orderWorkflowId(input.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [input],
        ...startOptions,
      });
      return new PlacedOrder(shop, { input, products: sold, handle });
    },
    async close() {
      workers.shutdown();
      await running;
      await carrierWebhooks.close();
      await base.close();
    },
  };
  return shop;
}
