import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ManagedProcess } from '../../dev/processes.js';
import { committedHistories } from '../../dev/replay/histories.js';
import { replay, type Recorded } from '../../dev/replay/replay.js';
import { waitUntil } from '../../dev/wait.js';
import type { OrderResource } from '../../src/schemas/order.js';
import { bundleWorkflows } from '../../src/temporal.js';
import { approvalWorkflowId } from '../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { startApiProcess } from '../support/api.js';
import { stage } from '../support/batches.js';
import { openCollector, type Collector, type Span } from '../support/collector.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/dev-server.js';
import { anOrder, aProduct, openShop, type Shop } from '../support/shop.js';
import { startOneWorkerProcess } from '../support/workers.js';

const DEADLINE_MS = 30_000;
const TASKS = 1_001;
const secret = randomUUID();

/** Told to the shop in every way there is, and to no span. */
const PERSONAL = {
  customer: `customer-${secret}`,
  comment: `comment-${secret}`,
  link: `link-${secret}`,
  agent: `agent-${secret}`,
};

// One story of three requests; the worker is killed in the middle of each. The tests look at what arrived.
describeOnDevServer('traces', () => {
  let server: DevServer;
  let shop: Shop;
  let collector: Collector;
  let folder: string;
  let tracedBundle: string;
  let api: Awaited<ReturnType<typeof startApiProcess>>;
  const workers: ManagedProcess[] = [];
  const histories: Recorded[] = [];
  const caller = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
  const orderId = randomUUID();
  const cartId = randomUUID();
  let batchId: string;
  let cartOrderId: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'traces-'));
    tracedBundle = join(folder, 'workflow-bundle.traced.js');
    const suggest = 'limit.historyCount.suggestContinueAsNew=25';
    const bundled = bundleWorkflows(new DefaultLogger('WARN'), { traced: true });
    [server, collector] = await Promise.all([startDevServer({ dynamicConfig: [suggest] }), openCollector()]);
    [shop] = await Promise.all([
      openShop(server, { withWorker: false }),
      bundled.then(({ code }) => writeFile(tracedBundle, code)),
    ]);
    [api] = await Promise.all([startApiProcess(server, shop, tracing()), startWorker()]);
    await tellTheStory();
    await Promise.all([api.process.stop(), ...workers.map((worker) => worker.stop())]);
  });
  afterAll(async () => {
    await Promise.all([api?.process.stop(), ...workers.map((worker) => worker.stop())]);
    await shop?.close();
    await collector?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const tracing = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '200' });

  async function startWorker(): Promise<void> {
    workers.push(await startOneWorkerProcess(server, shop, { ...tracing(), WORKFLOW_BUNDLE: tracedBundle }));
  }

  async function tellTheStory(): Promise<void> {
    const { sku } = await aProduct(shop.store, { available: 10_000, price: { value: 60_000, currency: 'EUR' } });
    const customerId = PERSONAL.customer;
    const order = anOrder({ orderId, customerId, lines: [{ sku, quantity: 2 }] });
    await send('POST', '/v1/orders', order, { traceparent: `00-${caller.traceId}-${caller.spanId}-01` });
    const item = { sku, quantity: 1 };
    for (let change = 0; change < 8; change += 1) await send('POST', `/v1/carts/${cartId}/items`, item);
    await send('GET', `/v1/orders?customerId=${customerId}`);
    await send('GET', `/approvals/${PERSONAL.link}`, undefined, {}, 404);
    const { approval } = await orderIs('awaiting_approval');
    await collector.once('of the mail to the approver', ({ name }) => name === 'RunActivity:mailApprover');

    workers[0]!.kill('SIGKILL');
    await workers[0]!.exited;
    await startWorker();

    const decision = { approver: 'shift-lead', decision: 'approve', comment: PERSONAL.comment };
    await send('POST', `/v1/approvals/${approval!.approvalId}/decision`, decision);
    const checkout = await send('POST', `/v1/carts/${cartId}/checkout`, { customerId, payment: { token: 'tok_ok' } });
    cartOrderId = (checkout as { orderId: string }).orderId;
    await orderIs('awaiting_pickup');
    await shop.outside.carrier.reportNow(orderId, 'delivered');
    const handleOf = (id: string) => shop.client.workflow.getHandle(id);
    await handleOf(orderWorkflowId(orderId)).result();

    batchId = await stage(shop.store, { items: Array.from({ length: TASKS }, () => item), itemsPerTask: 1 });
    await send('POST', `/v1/batches/${batchId}/retry`);
    await handleOf(batchWorkflowId(batchId))
      .result()
      .catch(() => undefined);
  }

  async function send(method: string, path: string, json?: unknown, headers = {}, expected?: number): Promise<unknown> {
    const response = await fetch(api.url + path, {
      method,
      headers: {
        ...(json !== undefined && { 'content-type': 'application/json' }),
        'user-agent': PERSONAL.agent,
        ...headers,
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
    const body = await response.text();
    if (expected === undefined ? !response.ok : response.status !== expected)
      throw new Error(`${method} ${path}: ${response.status} ${body}`);
    return response.ok && body.startsWith('{') ? JSON.parse(body) : body;
  }

  async function orderIs(wanted: string): Promise<OrderResource> {
    const look = async () => {
      const order = (await send('GET', `/v1/orders/${orderId}`)) as OrderResource;
      return order.stage === wanted ? order : undefined;
    };
    return await waitUntil(look, { what: `the order ${wanted}`, deadlineMs: DEADLINE_MS, everyMs: 100 });
  }

  test('dump', () => {
    console.log(collector.spans.length);
    const of = (id: string | undefined, depth: number, traceId: string): string[] =>
      collector.spans
        .filter((s) => s.traceId === traceId && s.parentSpanId === id)
        .flatMap((s) => [
          `${'  '.repeat(depth)}${s.service} ${s.name} ${s.status} ${JSON.stringify(s.attributes)}`,
          ...of(s.spanId, depth + 1, traceId),
        ]);
    console.log(of(caller.spanId, 0, caller.traceId).join('\n'));
    const ids = new Set(collector.spans.map((s) => s.spanId));
    console.log(
      'orphans',
      collector.spans.filter((s) => s.parentSpanId && !ids.has(s.parentSpanId)).map((s) => s.name),
    );
    for (const t of new Set(collector.spans.map((s) => s.traceId))) {
      const roots = collector.spans.filter((s) => s.traceId === t && (!s.parentSpanId || !ids.has(s.parentSpanId)));
      console.log(
        t,
        roots.map((r) => r.name),
        collector.spans.filter((s) => s.traceId === t).length,
      );
    }
    console.log(api.lines.slice(-20).join('\n'));
    console.log(workers.map((w) => w.tail()).join('\n'));
    void [approvalWorkflowId, cartWorkflowId, cartOrderId, histories, committedHistories, replay, inject, expect];
    void (0 as unknown as Span);
  });
});
