import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { replayHistories, type Bundle, type RecordedHistory } from '../../../tools/replay/replay-histories.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { bundlePath, bundleWorkflows } from '../../../src/temporal/workflow-bundle.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId, ORDER_TASK_QUEUE, shipmentReportedSignal } from '../../../src/workflows/order/contract.js';
import { type ManagedProcess, waitUntil } from '../../support/processes.js';
import { ORDER_APPROVAL_STAGES } from '../../support/shop/test-activities.js';
import { startApiProcess } from '../../support/api/api.js';
import { stageTestBatch } from '../../support/shop/batches.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { startTraceCollector, type TraceCollector, type Span } from '../../support/network/trace-collector.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { recordedHistories } from '../../support/replay/recorded-histories.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startSingleWorkerProcess } from '../../support/workers/workers.js';

const DEADLINE_MS = 30_000;

/** One chunk more than a shard can hold, so the batch has two shards and the second shard has one chunk. */
const CHUNKS = 1_001;

const COLLECTOR_KEY = `key ${randomUUID()}`;

/** Personal values in the test data. No span and no log may contain them. */
const PERSONAL_DATA = {
  comment: `comment-${randomUUID()}`,
  link: `link-${randomUUID()}`,
  agent: `agent-${randomUUID()}`,
  customer: `customer-${randomUUID()}`,
  address: ORDER_APPROVAL_STAGES[0]!.approvers[0]!.email!,
  token: 'tok_ok',
};

// One scenario with an order, a cart and a batch runs before all tests. In this scenario, a worker is killed. The tests
// check the spans and logs of the scenario.
describeOnDevServer('traces and logs', () => {
  let server: DevServer;
  let shop: Shop;
  let collector: TraceCollector;
  let folder: string;
  let plainBundle: string;
  let tracedBundle: string;
  let keyFile: string;
  let api: Awaited<ReturnType<typeof startApiProcess>>;
  const workers: ManagedProcess[] = [];
  const workerLines: string[] = [];
  const caller = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
  const orderId = randomUUID();
  const cartId = randomUUID();
  /** Orders that start without a trace: `taken` while the worker samples all traces, `left` while it samples none. */
  const byHand = { taken: randomUUID(), left: randomUUID() };
  let requestId: string;
  const told: Record<string, string | undefined> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'traces-'));
    plainBundle = join(folder, 'workflow-bundle.js');
    tracedBundle = bundlePath(plainBundle, { traced: true });
    keyFile = join(folder, 'otlp-headers');
    await writeFile(keyFile, `api-key=${encodeURIComponent(COLLECTOR_KEY)}\n`);
    const suggest = 'limit.historyCount.suggestContinueAsNew=15';
    const bundled = bundleWorkflows(new DefaultLogger('WARN'), { traced: true });
    [server, collector] = await Promise.all([startDevServer({ dynamicConfig: [suggest] }), startTraceCollector()]);
    [shop] = await Promise.all([
      startShop(server, { withWorker: false }),
      bundled.then(({ code }) => writeFile(tracedBundle, code)),
    ]);
    [api] = await Promise.all([startApiProcess(server, shop, tracing()), startWorker()]);
    await runScenario();
    await Promise.all([api.process.stop(), ...workers.map((worker) => worker.stop())]);
  });
  afterAll(async () => {
    await Promise.all([api?.process.stop(), ...workers.map((worker) => worker.stop())]);
    await shop?.close();
    await collector?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A process exports its spans when it exits. The test kills a worker, so workers also export every 200 ms. */
  const tracing = (delayMs = 60_000) => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS_FILE: keyFile,
    OTEL_BSP_SCHEDULE_DELAY: String(delayMs),
  });

  async function startWorker(sampler = {}): Promise<void> {
    const env = { ...tracing(200), WORKFLOW_BUNDLE: plainBundle, ...sampler };
    workers.push(await startSingleWorkerProcess(server, shop, env, { lines: workerLines }));
  }

  const handleOf = (workflowId: string) => shop.client.workflow.getHandle(workflowId);

  async function runScenario(): Promise<void> {
    const EUR = (value: number) => ({ price: { value, currency: 'EUR' }, available: 10_000 });
    const [expensive, cheap] = await Promise.all([
      addProduct(shop.store, EUR(100_000)),
      addProduct(shop.store, EUR(10)),
    ]);
    const { customer: customerId, token } = PERSONAL_DATA;
    const order = makeOrder({ orderId, customerId, payment: { token }, lines: [{ sku: expensive.sku, quantity: 1 }] });
    const traceparent = `00-${caller.traceId}-${caller.spanId}-01`;
    requestId = (await send('POST', '/v1/orders', order, { traceparent })).requestId;
    const item = { sku: cheap.sku, quantity: 1 };
    for (let change = 0; change < 4; change += 1) await send('POST', `/v1/carts/${cartId}/items`, item);
    await send('GET', `/v1/orders?customerId=${customerId}`);
    await send('GET', `/approvals/${PERSONAL_DATA.link}`, undefined, {}, 404);
    const { approval } = await waitForOrder(orderId, 'awaiting_approval');
    await handleOf(orderWorkflowId(orderId)).signal(shipmentReportedSignal.name, { orderId: 'another' });
    await collector.waitForSpan('of the mail to the approver', ({ name }) => name === 'RunActivity:mailApprover');
    await collector.waitForSpan('of the cart that continued as new', ({ name }) => name === 'ContinueAsNew:cart');
    await startWithoutApi(byHand.taken);
    await collector.waitForSpan('of the order that was started without the API', ({ name, attributes }) => {
      return name === 'RunWorkflow:order' && attributes['temporalWorkflowId'] === orderWorkflowId(byHand.taken);
    });
    const isIgnored = () => workerLines.some((line) => line.includes('malformed shipment report')) || undefined;
    await waitUntil(isIgnored, { description: 'the ignored report', timeoutMs: DEADLINE_MS });
    // Waits for the end of this workflow task. If the worker died before that, the next worker would execute the task
    // again and log a second time.
    const isKept = async () => {
      const types = (await fetchEventSummaries(handleOf(orderWorkflowId(orderId)))).map(({ type }) => type);
      return types.lastIndexOf('WorkflowTaskCompleted') > types.indexOf('WorkflowExecutionSignaled') || undefined;
    };
    await waitUntil(isKept, {
      description: 'the end of the workflow task that ignored the report',
      timeoutMs: DEADLINE_MS,
    });

    workers[0]!.kill('SIGKILL');
    await workers[0]!.exited;
    await startWorker({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' });
    await startWithoutApi(byHand.left);

    shop.fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 503 });
    // Tasks of the dead worker time out before the next worker receives them, so the first requests can fail.
    const isServing = (path: string) =>
      waitUntil(() => send('GET', path), { description: `a response to ${path}`, timeoutMs: DEADLINE_MS });
    await Promise.all([isServing(`/v1/approvals/${approval!.approvalId}`), isServing(`/v1/carts/${cartId}`)]);
    const decision = { approver: 'shift-lead', decision: 'approve', comment: PERSONAL_DATA.comment };
    await send('POST', `/v1/approvals/${approval!.approvalId}/decision`, decision);
    const checkout = await send('POST', `/v1/carts/${cartId}/checkout`, { customerId, payment: { token } });
    const orders = [orderId, (checkout.body as { orderId: string }).orderId];
    for (const each of orders) {
      await waitForOrder(each, 'awaiting_pickup');
      await shop.fakes.carrier.reportNow(each, 'delivered');
      await handleOf(orderWorkflowId(each)).result();
    }
    for (const { path, traceparent } of shop.fakes.records(orderId).requests) told[path] = traceparent;

    await cancelBatchInProgress(item);
  }

  /** Starts a batch, and cancels it when its last shard is open. */
  async function cancelBatchInProgress(item: unknown): Promise<void> {
    const id = await stageTestBatch(shop.store, {
      items: Array.from({ length: CHUNKS }, () => item),
      itemsPerChunk: 1,
    });
    await send('POST', `/v1/batches/${id}/retry`);
    const lastShard = `${batchWorkflowId(id)}/1`;
    await collector.waitForSpan('of the last shard', ({ name, attributes }) => {
      return name === 'RunWorkflow:batchShard' && attributes['temporalWorkflowId'] === lastShard;
    });
    const isInProgress = async () => ((await shop.store.countBatchProgress(id))?.succeeded ?? 0) > 50 || undefined;
    await waitUntil(isInProgress, { description: 'a batch in progress', timeoutMs: DEADLINE_MS });
    await send('POST', `/v1/batches/${id}/cancel`);
    await handleOf(batchWorkflowId(id))
      .result()
      .catch(() => undefined);
  }

  /** Starts an order without a trace, and waits until the order is rejected. */
  async function startWithoutApi(id: string): Promise<void> {
    const order = makeOrder({ orderId: id, lines: [{ sku: 'NOT-THERE', quantity: 1 }] });
    await shop.client.workflow.execute('order', {
      workflowId: orderWorkflowId(id),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
    });
  }

  async function send(method: string, path: string, json?: unknown, headers = {}, expected?: number) {
    const response = await fetch(api.url + path, {
      method,
      headers: {
        ...(json !== undefined && { 'content-type': 'application/json' }),
        'user-agent': PERSONAL_DATA.agent,
        ...headers,
      },
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    const { status } = response;
    if (expected === undefined ? !response.ok : status !== expected) throw new Error(`${path}: ${status} ${text}`);
    const isJson = response.headers.get('content-type')?.includes('json');
    return { requestId: response.headers.get('x-request-id')!, body: (isJson ? JSON.parse(text) : text) as unknown };
  }

  async function waitForOrder(id: string, expected: string): Promise<OrderResource> {
    const poll = async () => {
      const { body } = await send('GET', `/v1/orders/${id}`);
      return (body as OrderResource).stage === expected ? (body as OrderResource) : undefined;
    };
    return await waitUntil(poll, { description: `the order ${expected}`, timeoutMs: DEADLINE_MS, intervalMs: 100 });
  }

  const childrenOf = ({ spanId, traceId }: Pick<Span, 'spanId' | 'traceId'>) =>
    collector.spans.filter((span) => span.parentSpanId === spanId && span.traceId === traceId);

  /** Follows the names from parent span to child span. @throws when a name does not match exactly one child. */
  function descend(from: Pick<Span, 'spanId' | 'traceId'>, ...names: string[]): Span {
    let at = from as Span;
    for (const name of names) {
      const found = childrenOf(at).filter((span) => span.name === name);
      expect(
        found,
        `${name} in ${childrenOf(at)
          .map((span) => span.name)
          .join(', ')}`,
      ).toHaveLength(1);
      at = found[0]!;
    }
    return at;
  }

  const namesBelow = (span: Span) => childrenOf(span).map(({ name }) => name);

  /** Returns the newest span with this name. */
  const request = (name: string) => collector.spans.findLast((span) => span.name === name)!;

  test('the trace of a caller continues through request, workflow, activity, SQL statement and partner call', () => {
    const http = descend(caller, 'POST /v1/orders');
    expect(http).toMatchObject({ service: 'shop-api', attributes: { 'http.route': '/v1/orders' } });
    const workflow = descend(http, 'StartWorkflow:order', 'RunWorkflow:order');
    expect(workflow).toMatchObject({ service: 'shop-worker', status: 1 });
    const reserve = descend(workflow, 'StartActivity:reserveStock', 'RunActivity:reserveStock');
    const statements = childrenOf(reserve).map(({ attributes }) => attributes['db.query.text']);
    expect(statements).toEqual([
      expect.stringMatching(/^\s*with requested as .*\bunnest\(\$1::text\[\], \$2::int\[\]\)/s),
    ]);
    const shipment = descend(workflow, 'StartActivity:requestShipment', 'RunActivity:requestShipment', 'POST');
    expect(shipment.attributes).toMatchObject({ 'http.response.status_code': 201 });
    expect(told['/carrier/shipments']).toBe(`00-${caller.traceId}-${shipment.spanId}-01`);
  });

  test('each attempt of a retried activity has a span, with the failure of the attempt', () => {
    const workflow = descend(caller, 'POST /v1/orders', 'StartWorkflow:order', 'RunWorkflow:order');
    const attempts = childrenOf(descend(workflow, 'StartActivity:chargePayment'));
    expect(attempts).toMatchObject([
      { status: 2, attributes: { attempt: 1, 'error.type': 'PaymentGatewayUnavailable' } },
      { status: 1, attributes: { attempt: 2 } },
    ]);
  });

  test("an approval belongs to the trace of its order, and the decision to the trace of the approver's request", () => {
    const workflow = descend(caller, 'POST /v1/orders', 'StartWorkflow:order', 'RunWorkflow:order');
    const approval = descend(workflow, 'StartChildWorkflow:approval', 'RunWorkflow:approval');
    expect(namesBelow(approval)).toContain('StartActivity:mailApprover');
    const decision = request('POST /v1/approvals/:approvalId/decision');
    expect(decision.traceId).not.toBe(caller.traceId);
    expect(descend(decision, 'StartWorkflowUpdate:decide', 'HandleUpdate:decide').attributes).toMatchObject({
      temporalWorkflowId: approval.attributes['temporalWorkflowId'],
    });
  });

  test('a second worker continues the trace of a killed worker, and no span is exported twice', () => {
    const workflow = descend(caller, 'POST /v1/orders', 'StartWorkflow:order', 'RunWorkflow:order');
    const before = descend(workflow, 'StartActivity:reserveStock');
    const after = descend(workflow, 'StartActivity:requestShipment');
    expect(after.instance).toBe(workflow.instance);
    expect(before.instance).not.toBe(workflow.instance);
    const spanIds = collector.spans.map(({ spanId }) => spanId);
    expect(spanIds.length - new Set(spanIds).size).toBe(0);
  });

  test('the parent of every exported span is exported too', () => {
    const known = new Set([caller.spanId, ...collector.spans.map(({ spanId }) => spanId)]);
    const orphans = collector.spans.filter(({ parentSpanId }) => parentSpanId && !known.has(parentSpanId));
    expect(orphans.map(({ name }) => name)).toEqual([]);
  });

  test('the span of a continued run is below the previous run, and the span of the order is below the checkout', () => {
    const first = collector.spans.find(({ name }) => name === 'UpdateWithStartWorkflow:addItem')!;
    const run = childrenOf(first).find(({ name }) => name === 'RunWorkflow:cart')!;
    const next = descend(run, 'ContinueAsNew:cart', 'RunWorkflow:cart');
    expect(next.attributes['run_id']).not.toBe(run.attributes['run_id']);
    expect(next.attributes['temporalWorkflowId']).toBe(cartWorkflowId(cartId));
    const checkout = descend(
      request('POST /v1/carts/:cartId/checkout'),
      'StartWorkflowUpdate:checkout',
      'HandleUpdate:checkout',
    );
    const order = descend(checkout, 'StartChildWorkflow:order', 'RunWorkflow:order');
    expect(namesBelow(order)).toContain('StartActivity:chargePayment');
  });

  test("the trace of a carrier's webhook continues in the workflow", () => {
    const handled = descend(
      request('POST /v1/callbacks/shipments'),
      'SignalWorkflow:shipmentReported',
      'HandleSignal:shipmentReported',
    );
    expect(handled.service).toBe('shop-worker');
  });

  test('the trace of a large batch contains all shards and at most twenty chunks of each shard', () => {
    const batch = descend(request('POST /v1/batches/:batchId/retry'), 'StartWorkflow:batch', 'RunWorkflow:batch');
    const shards = childrenOf(batch)
      .filter(({ name }) => name === 'StartChildWorkflow:batchShard')
      .map((start) => descend(start, 'RunWorkflow:batchShard'));
    const chunkSpans = (shard: Span) =>
      childrenOf(shard).filter(({ name }) => name === 'StartActivity:processBatchChunk');
    expect(shards.map((shard) => chunkSpans(shard).length).sort()).toEqual([1, 20]);
    const [task] = chunkSpans(shards.find((shard) => chunkSpans(shard).length === 1)!);
    expect(namesBelow(descend(task!, 'RunActivity:processBatchChunk')).join()).toContain('pg.query:UPDATE');
    const all = collector.spans.filter(
      ({ traceId, name }) => traceId === batch.traceId && name === 'RunActivity:processBatchChunk',
    );
    // Retries of a chunk add spans with the same parent, so the test counts the parents.
    expect(new Set(all.map(({ parentSpanId }) => parentSpanId)).size).toBe(21);
  });

  test('a workflow without a trace gets a new trace if the sampler of the worker selects it', () => {
    const namesOf = (id: string) =>
      collector.spans.filter(({ attributes }) => attributes['temporalWorkflowId'] === orderWorkflowId(id));
    const [root, ...others] = namesOf(byHand.taken).filter(({ parentSpanId }) => !parentSpanId);
    expect([root?.name, others]).toEqual(['RunWorkflow:order', []]);
    descend(root!, 'StartActivity:reserveStock', 'RunActivity:reserveStock');
    expect(namesOf(byHand.left)).toEqual([]);
  });

  test('the exporter sends the API key from the headers file to the collector, and no process logs the key', () => {
    expect([...collector.apiKeys]).toEqual([COLLECTOR_KEY]);
    expect([...api.lines, ...workerLines].join()).not.toContain(COLLECTOR_KEY.slice(4));
  });

  test('spans and logs contain no personal data', async () => {
    const mail = JSON.stringify(await shop.fakes.mailbox.mails());
    const [order] = (await handleOf(orderWorkflowId(orderId)).fetchHistory()).events ?? [];
    const input = order?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    expect(Buffer.from(input!).toString()).toContain(PERSONAL_DATA.customer);
    expect(mail).toContain(PERSONAL_DATA.address);
    const everything = [...collector.bodies, ...api.lines, ...workerLines].join('\n');
    expect(everything).toContain(orderId);
    for (const [what, value] of Object.entries(PERSONAL_DATA)) expect(everything.includes(value), what).toBe(false);
    expect(collector.bodies.join('\n')).not.toMatch(/remoteAddress|client\.address|url\.|user_agent|exception/);
  });

  const parsed = (lines: string[]) =>
    lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);

  test('the log lines of a request contain its request id and its trace id', () => {
    const lines = parsed(api.lines).filter(({ reqId }) => reqId === requestId);
    expect(lines.map(({ msg }) => msg)).toEqual(['incoming request', 'action', 'request completed']);
    const { spanId, traceId } = descend(caller, 'POST /v1/orders');
    for (const line of lines) expect(line).toMatchObject({ traceId, spanId });
  });

  test('the log lines of workflows and activities contain the trace id of the request', () => {
    const { traceId } = caller;
    const lines = parsed(workerLines);
    const workflow = {
      workflowId: orderWorkflowId(orderId),
      workflowType: 'order',
      runId: expect.any(String) as string,
    };
    expect(lines.find(({ msg }) => msg === 'Activity failed')).toMatchObject({
      ...workflow,
      activityType: 'chargePayment',
      attempt: 1,
      level: 40,
      traceId,
      spanId: collector.spans.find(({ attributes }) => attributes['error.type'] === 'PaymentGatewayUnavailable')!
        .spanId,
      err: { type: 'PaymentGatewayUnavailable' },
    });
    const ignored = lines.filter(({ msg }) => msg === 'ignored a malformed shipment report');
    expect(ignored, 'logged once, though another worker replayed it').toHaveLength(1);
    expect(ignored[0]).toMatchObject({ ...workflow, traceId });
  });

  const replayed = async (histories: RecordedHistory[], bundle: Bundle) => {
    const found = [];
    for await (const { workflowId, difference } of replayHistories(histories, { workflowBundle: bundle }))
      found.push({ workflowId, difference });
    return found;
  };

  test('the traced workflow bundle does not contain the OpenTelemetry SDK', async () => {
    const modules = (await readFile(tracedBundle, 'utf8')).matchAll(/!\*\*\* (\S+) \*\*\*!/g);
    const paths = [...modules].map(([, path]) => path!);
    expect(paths).toContain('./src/observability/tracing/workflow-interceptors.ts');
    expect(paths.filter((path) => path.includes('@opentelemetry/'))).toEqual([]);
  });

  for (const flavour of ['traced', 'untraced']) {
    test(`the ${flavour} workflow bundle replays a cart with unreadable trace headers`, async () => {
      const payload = (encoding: string, data: string) => ({
        metadata: { encoding: Buffer.from(encoding) },
        data: Buffer.from(data),
      });
      const foreign = [
        {},
        payload('binary/encrypted', 'cipher text'),
        payload('json/plain', '{'),
        payload('json/plain', 'null'),
        payload('json/plain', '{"traceparent":{"toString":1},"tracestate":1}'),
      ];
      const signals = recordedHistories.filter(({ file }) => file.endsWith('cart-signals.json')).slice(-1);
      const histories = foreign.map((header) => {
        const history = structuredClone(signals[0]!.history);
        const told = { header: { fields: { '_tracer-data': header, 'shop-started-at': header } } };
        for (const {
          workflowExecutionStartedEventAttributes,
          workflowExecutionSignaledEventAttributes,
        } of history.events!)
          Object.assign(
            workflowExecutionStartedEventAttributes ?? workflowExecutionSignaledEventAttributes ?? {},
            told,
          );
        return { ...signals[0]!, history };
      });
      const bundle = { codePath: flavour === 'traced' ? tracedBundle : inject('workflowBundle') };
      expect((await replayed(histories, bundle)).map(({ difference }) => difference)).toEqual(
        foreign.map(() => undefined),
      );
    });
  }

  test('the traced workflow bundle replays histories that were recorded without traces', async () => {
    const onto = await replayed(recordedHistories, { codePath: tracedBundle });
    expect(onto).toHaveLength(recordedHistories.length);
    expect(onto.filter(({ difference }) => difference)).toEqual([]);
  });

  test('the untraced workflow bundle replays histories that were written with traces', async () => {
    const traced: RecordedHistory[] = [];
    for await (const { workflowId, runId, type } of shop.client.workflow.list())
      traced.push({
        workflowId,
        runId,
        workflowType: type,
        history: await shop.client.workflow.getHandle(workflowId, runId).fetchHistory(),
      });
    expect([...new Set(traced.map(({ workflowType }) => workflowType))].sort()).toEqual([
      'approval',
      'batch',
      'batchShard',
      'cart',
      'order',
    ]);
    const off = await replayed(traced, { codePath: inject('workflowBundle') });
    expect(off.filter(({ difference }) => difference)).toEqual([]);
  });
});
