import { randomUUID } from 'node:crypto';
import {
  WorkflowFailedError,
  type WorkflowHandleWithFirstExecutionRunId,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { TemporalFailure, type Duration } from '@temporalio/common';
import { afterAll, beforeAll, inject } from 'vitest';
import { waitUntil } from '../../tools/processes/wait.js';
import type { Stage } from '../../src/schemas/approval.js';
import type { OrderInput, OrderStage, OrderView, ShipmentReport } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';
import { rootFailure } from '../../src/workflows/shared/failures.js';
import {
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderStatusQuery,
  orderWorkflowId,
} from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { activitiesOf } from './activities.js';
import { createWorkers } from './create-workers.js';
import { balanceOf, type Balance, type Order } from '../../tools/chaos/audit/balance.js';
import { historyOf } from './history.js';
import { openLetterbox, type Letterbox } from './letterbox.js';
import { anOrder, aProduct, openShop, type Shop } from './shop.js';
import { describeWithTimeSkipping, startTimeSkipping } from './time-skipping.js';
import { WatchedActivities, type ActivityCall, type ActivityName } from './watched-activities.js';

const DEADLINE_MS = 20_000;

/** A shop on a time-skipping server, with watched activities and with delivery of the carrier's reports. */
export interface OrderShop extends Shop {
  activities: WatchedActivities;
  letterbox: Letterbox;
  /** Starts an order that would complete, unless the overrides change that. */
  place: (overrides?: PlaceOptions) => Promise<PlacedOrder>;
  /** Skips exactly this much time: a longer timer stays pending. */
  skip: (time: Duration) => Promise<void>;
}

interface OrderShopOptions {
  /** The approval stages of large orders. */
  approvalStages?: Stage[];
}

export interface PlaceOptions extends Partial<OrderInput> {
  products?: Product[];
  token?: string;
  start?: Partial<WorkflowStartOptions<typeof order>>;
}

/** An order with the views that tests need: its state, its activities and calls, and the auditor's balance. */
export class PlacedOrder implements Order {
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
    return this.handle.query(orderStatusQuery);
  }

  /** Waits until the order reaches this stage. */
  async reached(stage: OrderStage): Promise<OrderView> {
    return await this.seen((view) => view.stage === stage, stage);
  }

  async seen(isIt: (view: OrderView) => boolean, what = 'the expected view'): Promise<OrderView> {
    const ask = async () => {
      const view = await this.view();
      return isIt(view) ? view : undefined;
    };
    return await waitUntil(ask, { what: `order ${this.orderId}: ${what}`, deadlineMs: DEADLINE_MS, everyMs: 100 });
  }

  /** The carrier moves the parcel and reports it. */
  async carrierReports(...statuses: Exclude<ShipmentReport['status'], 'cancelled'>[]): Promise<void> {
    for (const status of statuses) await this.shop.outside.carrier.reportNow(this.orderId, status);
  }

  /** Waits for the end while time is skipped. @throws the workflow's failure. */
  result(): Promise<OrderView> {
    return this.handle.result();
  }

  /** The failure that the order ends with. @throws when the order succeeds. */
  async failure(): Promise<TemporalFailure> {
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
    return balanceOf(this.shop, this, options);
  }

  /** The activities that succeeded, in order. */
  done(): ActivityName[] {
    return this.shop.activities.doneOf(this.orderId);
  }

  /** How each attempt of an activity ended. */
  attempts(name: ActivityName): ActivityCall['end'][] {
    return this.shop.activities.callsOf(this.orderId).flatMap((call) => (call.name === name ? [call.end] : []));
  }

  /** The calls that the external systems received, in order. */
  calls(): string[] {
    return this.shop.outside.statement(this.orderId).requests.map(({ path }) => path);
  }

  /** The names of the events in the history. */
  async events(): Promise<string[]> {
    return (await historyOf(this.handle)).map(({ type }) => type);
  }
}

export const anOrderId = (): string => randomUUID();

/**
 * Like `describe`, with a shop on a time-skipping server. Without such a server, the tests are skipped and the title
 * says why.
 */
export function describeOrders(
  title: string,
  define: (shop: () => OrderShop) => void,
  options: OrderShopOptions = {},
): void {
  describeWithTimeSkipping(title, () => {
    let shop: OrderShop | undefined;
    beforeAll(async () => {
      shop = await openOrderShop(options);
    });
    afterAll(async () => {
      await shop?.close();
    });
    define(() => {
      if (!shop) throw new Error('the shop is not open yet');
      return shop;
    });
  });
}

async function openOrderShop(options: OrderShopOptions): Promise<OrderShop> {
  const server = await startTimeSkipping();
  const bare = await openShop(server, { withWorker: false });
  const activities = new WatchedActivities();
  const { store, outside } = bare;
  const workers = await createWorkers({
    connection: server.nativeConnection,
    namespace: server.namespace,
    workflowBundle: { codePath: inject('workflowBundle') },
    queues: ['orders', 'payments', 'approvals'],
    batchTasksAtOnce: 4,
    activities: activities.wrap(activitiesOf({ store, outside, ...options })),
  });
  const running = workers.run();
  const letterbox = await openLetterbox(bare.client);
  outside.setCallbackUrl(letterbox.url);

  const shop: OrderShop = {
    ...bare,
    activities,
    letterbox,
    async place({ products, token = 'tok_ok', start, ...overrides } = {}) {
      const sold = products ?? [await aProduct(store)];
      const input = anOrder({
        lines: sold.map(({ sku }) => ({ sku, quantity: 2 })),
        payment: { token },
        ...overrides,
      });
      const handle = await bare.client.workflow.start<typeof order>(ORDER_WORKFLOW_TYPE, {
        workflowId: orderWorkflowId(input.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [input],
        ...start,
      });
      return new PlacedOrder(shop, { input, products: sold, handle });
    },
    skip: (time) => server.env.sleep(time),
    async close() {
      workers.shutdown();
      await running;
      await letterbox.close();
      await bare.close();
    },
  };
  return shop;
}
