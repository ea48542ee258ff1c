import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { OrderStage } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import { ORDER_TASK_QUEUE, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import {
  freePort,
  type ManagedProcess,
  runCommand,
  startProcess,
  typescriptCommand,
  waitUntil,
} from '../../support/processes.js';
import { APPROVAL_WEBHOOK_SECRET, LINK_SECRETS } from '../../support/shop/test-activities.js';
import { CURSOR_SECRET, signShipmentReport } from '../../support/api/api.js';
import { startCart } from '../../support/shop/carts.js';
import { readDocumentedMetrics, type DocumentedMetric } from '../../support/documented-metrics.js';
import { lockProduct, type DatabaseLock } from '../../support/database/database-lock.js';
import { startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { resetPoints, resetRun } from '../../support/temporal/resets.js';
import { startStallableProxy, type StallableProxy } from '../../support/network/stallable-proxy.js';
import {
  alertRules,
  ALERTS_FILE,
  dashboards,
  acceleratedRules,
  PROMETHEUS_FILE,
  scrapeConfig,
  withoutThreshold,
} from '../../support/deploy/monitoring-config.js';
import { deliverParcel, CARRIER_WEBHOOK_SECRET } from '../../support/fakes/running-fakes.js';
import {
  describeWithPrometheus,
  prometheusProgramPath,
  startPrometheus,
  type Prometheus,
  type Sample,
} from '../../support/deploy/prometheus.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startSingleWorkerProcess } from '../../support/workers/workers.js';

/** The timeout is long, because a machine that also runs other tests may be several times slower. */
const WAIT_TIMEOUT_MS = 60_000;

/** Alerts that take too long to fire in this test, even with shortened durations. The promtool test covers them. */
const TOO_SLOW_TO_FIRE = ['WebhookFailureRateHigh'];

/** The rate window of the dashboard queries: long enough for several scrapes, at one scrape per second. */
const RATE_WINDOW = '30s';

describeWithPrometheus('metrics of a running shop in Prometheus', () => {
  let server: DevServer;
  let shop: Shop;
  let line: StallableProxy;
  let prometheus: Prometheus;
  let worker: ManagedProcess;
  let api: ManagedProcess;
  let apiByLine: ManagedProcess;
  let lock: DatabaseLock | undefined;
  let urls: Record<'worker' | 'api' | 'metrics' | 'apiByLine' | 'metricsByLine', string>;
  let ports: Record<keyof typeof urls, number>;
  let sku: string;

  const startWorker = () =>
    startSingleWorkerProcess(server, shop, { METRICS_PORT: String(ports.worker), RECONCILE_AFTER_MINUTES: '0' });
  const startApi = (address: string, port: number, metricsPort: number) =>
    startProcess({
      name: 'api',
      ...typescriptCommand('src/api/server.ts'),
      env: {
        TEMPORAL_ADDRESS: address,
        TEMPORAL_NAMESPACE: server.namespace,
        DATABASE_URL: shop.databaseUrl,
        PORT: String(port),
        METRICS_PORT: String(metricsPort),
        LOG_LEVEL: 'warn',
        CARRIER_WEBHOOK_SECRET,
        APPROVAL_WEBHOOK_SECRET,
        CURSOR_SECRET,
        APPROVAL_LINK_SECRET: LINK_SECRETS[0],
      },
    });

  beforeAll(async () => {
    server = await startDevServer();
    const names = ['worker', 'api', 'metrics', 'apiByLine', 'metricsByLine'] as const;
    const free = await Promise.all(names.map(() => freePort()));
    const targetsOf = <T>(of: (port: number) => T) =>
      Object.fromEntries(names.map((name, index) => [name, of(free[index]!)])) as Record<(typeof names)[number], T>;
    ports = targetsOf((port) => port);
    urls = targetsOf((port) => `http://127.0.0.1:${port}`);
    const targetOf = (name: keyof typeof urls) => `127.0.0.1:${ports[name]}`;
    [shop, line] = await Promise.all([startShop(server, { withWorker: false }), startStallableProxy(server.address)]);
    sku = (await addProduct(shop.store, { available: 10_000 })).sku;
    shop.fakes.setCallbackUrl(`${urls.api}/v1/callbacks/shipments`);
    // When metrics are unavailable, the page takes five seconds to respond, so this job has a longer timeout.
    const slowly = {
      job_name: 'business-by-line',
      metrics_path: '/metrics/business',
      scrape_interval: '7s',
      scrape_timeout: '7s',
      static_configs: [{ targets: [targetOf('metricsByLine')] }],
      metric_relabel_configs: [
        { source_labels: ['__name__'], regex: 'shop_business_last_scrape_error', action: 'keep' },
      ],
    };
    [worker, api, apiByLine, prometheus] = await Promise.all([
      startWorker(),
      startApi(server.address, ports.api, ports.metrics),
      startApi(line.address, ports.apiByLine, ports.metricsByLine),
      startPrometheus({
        config: scrapeConfig(
          {
            worker: [targetOf('worker')],
            api: [targetOf('metrics'), targetOf('metricsByLine')],
            business: [targetOf('metrics')],
          },
          [slowly],
        ),
        rules: acceleratedRules(),
      }),
    ]);
    for (const [name, url] of [['api', urls.api] as const, ['apiByLine', urls.apiByLine] as const])
      await waitUntil(async () => (await fetch(`${url}/readyz`)).ok || undefined, {
        description: `${name} being ready`,
        timeoutMs: WAIT_TIMEOUT_MS,
      });
  });

  afterAll(async () => {
    await prometheus?.stop();
    await Promise.all([api?.stop(), apiByLine?.stop(), worker?.stop()]);
    await lock?.release();
    await line?.close();
    await shop?.close();
  });

  async function call<Body>(method: string, path: string, json?: unknown, targetOf = urls.api): Promise<Body> {
    const response = await fetch(targetOf + path, {
      method,
      headers: json === undefined ? {} : { 'content-type': 'application/json' },
      ...(json !== undefined && { body: JSON.stringify(json) }),
      signal: AbortSignal.timeout(30_000),
    });
    return (await response.json()) as Body;
  }

  const placeOrder = async (overrides: Partial<ReturnType<typeof makeOrder>> = {}): Promise<string> => {
    const order = makeOrder({ lines: [{ sku, quantity: 1 }], ...overrides });
    await call('POST', '/v1/orders', order);
    return order.orderId;
  };
  const placeAndCharge = async (): Promise<string> => {
    const orderId = await placeOrder();
    await waitForStage(orderId, 'awaiting_pickup');
    return orderId;
  };
  const waitForStage = (orderId: string, expected: OrderStage) =>
    waitForBody(`/v1/orders/${orderId}`, ({ stage }: { stage: string }) => stage === expected);
  const waitForBody = async <Body>(path: string, matches: (body: Body) => boolean) =>
    await waitUntil(async () => matches(await call<Body>('GET', path)) || undefined, {
      description: `${path} as expected`,
      timeoutMs: WAIT_TIMEOUT_MS,
    });

  const fetchText = async (url: string) => (await fetch(url)).text();

  /** Produces traffic for every metric. */
  async function sendTraffic(): Promise<void> {
    const isCompleted = async () => {
      const orderId = await placeAndCharge();
      await deliverParcel(shop.fakes, orderId);
    };
    const uploads = async () => {
      const other = await addProduct(shop.store);
      await fetch(`${urls.api}/v1/batches?operation=restock&itemsPerChunk=1`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: [other.sku, 'NO-SUCH-SKU'].map((sku) => JSON.stringify({ sku, quantity: 1 })).join('\n'),
      });
    };
    const isDecided = async () => {
      const approvalId = await startApproval([{ approvers: [{ id: 'grace' }], timeoutSeconds: 3_600 }]);
      await call('POST', `/v1/approvals/${approvalId}/decision`, { approver: 'grace', decision: 'approve' });
    };
    shop.fakes.faults.add({ on: 'charge', fault: 'error' });
    await Promise.all([
      isCompleted(),
      uploads(),
      isDecided(),
      placeOrder({ payment: { token: 'tok_declined' } }),
      call('GET', '/v1/nothing/of/this/name'),
      call('GET', `/v1/orders/${randomUUID()}`),
    ]);
  }

  const waitForCount = async (query: string, expected: number) =>
    await waitUntil(async () => (await server.client.workflow.count(query)).count === expected || undefined, {
      description: `${expected} workflows with ${query}`,
      timeoutMs: WAIT_TIMEOUT_MS,
    });

  /** Terminates an order whose parcel has left, so that the reconciliation cannot roll it back. */
  async function terminateAfterPickup() {
    const orderId = await placeAndCharge();
    await shop.fakes.carrier.reportNow(orderId, 'in_transit');
    const handle = server.client.workflow.getHandle(orderWorkflowId(orderId));
    await handle.terminate('test');
    await waitForCount(`WorkflowId = '${handle.workflowId}' and ExecutionStatus = 'Running'`, 0);
    return handle;
  }

  const reconcileOrders = () =>
    server.client.workflow.execute('reconcile', { workflowId: 'reconcile', taskQueue: HOUSEKEEPING_TASK_QUEUE });

  async function startApproval(stages: object[]): Promise<string> {
    const approvalId = randomUUID();
    await call('POST', '/v1/approvals', { approvalId, title: 'May I?', requestedBy: 'ada', stages });
    return approvalId;
  }

  test('the Prometheus configuration and the alert rules pass the checks of promtool', async () => {
    const check = (...args: string[]) =>
      runCommand({
        name: 'promtool',
        command: prometheusProgramPath('promtool'),
        args: ['check', ...args],
        timeoutMs: 30_000,
      });
    expect(await check('config', PROMETHEUS_FILE)).toContain('SUCCESS');
    expect(await check('rules', ALERTS_FILE)).toContain(`SUCCESS: ${alertRules.length + 1} rules`);
  });

  test('exactly the expected alerts fire when promtool simulates three hours with little traffic', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rules-'));
    const countFailures = (activity: string, error: string) =>
      `shop_activity_failures_total{activity_type="${activity}",error_type="${error}",expected="false"}`;
    const countAttempts = (activity: string) =>
      `temporal_activity_execution_latency_seconds_count{job="worker",activity_type="${activity}"}`;
    const requests = (route: string, status: number) =>
      `http_request_duration_seconds_count{job="api",instance="1",route="${route}",status="${status}"}`;
    const series = {
      // No series for the API and business jobs: both are missing from the start.
      'up{job="worker",instance="1"}': '1x180',
      // A failing workflow task is retried every ten minutes, which is the longest delay.
      'temporal_workflow_task_execution_failed_total{task_queue="orders",failure_reason="NonDeterminismError"}':
        Array.from({ length: 18 }, (_, times) => `${times + 1}x9`).join(' '),
      [countFailures('chargePayment', 'PaymentGatewayUnavailable')]: '0+4x180',
      [countAttempts('chargePayment')]: '0+5x180',
      // The webhook receiver is unavailable.
      [countFailures('reportOutcome', 'ReceiverUnavailable')]: '0+4x180',
      [countAttempts('reportOutcome')]: '0+5x180',
      // Every attempt fails, but the attempts belong to a single order, so no alert may fire.
      [countFailures('requestShipment', 'CarrierUnavailable')]: '0+1x180',
      [countAttempts('requestShipment')]: '0+1x180',
      // 10 % of the orders fail. The many successful health checks must not hide this.
      [requests('/v1/orders', 200)]: '0+9x180',
      [requests('/v1/orders', 500)]: '0+1x180',
      [requests('/livez', 200)]: '0+900x180',
    };
    const firing = {
      ActivityFailureRateHigh: 1,
      ApiErrorRateHigh: 1,
      JobMissing: 2,
      WebhookFailureRateHigh: 1,
      WorkflowTasksFailing: 1,
    };
    const file = {
      rule_files: [ALERTS_FILE],
      tests: [
        {
          interval: '1m',
          input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
          promql_expr_test: [100, 109, 115].map((minute) => ({
            expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
            eval_time: `${minute}m`,
            exp_samples: Object.entries(firing).map(([name, value]) => ({ labels: `{alertname="${name}"}`, value })),
          })),
        },
      ],
    };
    await writeFile(join(folder, 'rules.test.yml'), stringify(file));
    try {
      const args = ['test', 'rules', join(folder, 'rules.test.yml')];
      await runCommand({ name: 'promtool', command: prometheusProgramPath('promtool'), args, timeoutMs: 30_000 });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  async function readCartDurations() {
    const lines = (await fetchText(`${urls.worker}/metrics`)).split('\n');
    const valueOf = (what: string) =>
      Number(
        lines
          .find((line) => line.startsWith(`shop_workflow_duration_seconds_${what}{`) && line.includes('"cart"'))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    return { count: valueOf('count'), sum: valueOf('sum') };
  }

  test('records the duration of a cart once, across all its runs', async () => {
    const cartId = randomUUID();
    const earlier = await readCartDurations();
    const beforeStart = performance.now();
    const cart = await startCart(server.client, { cartId, continueAsNewAfterEvents: 4 });
    const afterStart = performance.now();
    const ofChain = server.client.workflow.getHandle(cartWorkflowId(cartId));
    const runOf = async () => (await ofChain.describe()).runId;
    await ofChain.executeUpdate('addItem', { args: [{ sku, quantity: 1 }] });
    await waitUntil(async () => (await runOf()) !== cart.firstExecutionRunId || undefined, {
      description: 'the next run',
      timeoutMs: WAIT_TIMEOUT_MS,
    });
    // Waits, so that the duration of the cart clearly differs from the duration of its last run.
    await waitUntil(() => performance.now() - afterStart > 2_000 || undefined, {
      description: '2 s',
      timeoutMs: 5_000,
    });
    const beforeAbandon = performance.now();
    await ofChain.executeUpdate('addItem', { args: [{ sku, quantity: 1 }] });
    await ofChain.executeUpdate('abandon', { args: [{}] });
    await ofChain.result();
    const afterResult = performance.now();

    const observed = await waitUntil(
      async () => {
        const { count, sum } = await readCartDurations();
        return count > earlier.count ? { count: count - earlier.count, sum: sum - earlier.sum } : undefined;
      },
      { description: 'the duration of the cart in the metrics', timeoutMs: WAIT_TIMEOUT_MS },
    );
    expect(observed.count).toBe(1);
    expect(observed.sum).toBeGreaterThan((beforeAbandon - afterStart) / 1000);
    expect(observed.sum).toBeLessThan((afterResult - beforeStart) / 1000 + 0.5);
  });

  test('every expression of the dashboard and of the alerts has a value', async () => {
    const shown = dashboards.flatMap(({ panels }) =>
      panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
    );
    const alertExpressions = alertRules.map(({ alert, expr }) => [alert, withoutThreshold(expr)] as const);
    const expressions = [...shown, ...alertExpressions].map(
      ([where, expr]) => [where, expr.replaceAll('$__rate_interval', RATE_WINDOW)] as const,
    );
    const isNumber = ({ value }: Sample) => !Number.isNaN(value);
    const empty = async () => {
      const responses = await Promise.all(
        expressions.map(async ([where, expr]) => ({ where, expr, samples: await prometheus.query(expr) })),
      );
      return responses.filter(({ samples }) => !samples.some(isNumber)).map(({ where, expr }) => `${where}: ${expr}`);
    };
    expect(shown.length).toBeGreaterThan(30);

    let left: string[] = [];
    await waitUntil(
      async () => {
        // Prometheus computes no rate from the first sample of a counter, so the traffic must repeat.
        await sendTraffic();
        left = await empty();
        return left.length === 0 || undefined;
      },
      { description: 'every expression having a value', timeoutMs: WAIT_TIMEOUT_MS },
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}; empty:\n${left.join('\n')}`);
    });
  }, 120_000);

  test('the shop exports exactly the documented metrics with their types and labels', async () => {
    const pages = await Promise.all(
      Object.entries({
        worker: [`${urls.worker}/metrics`],
        API: [`${urls.metrics}/metrics`],
        'business page': [`${urls.metrics}/metrics/business`],
      }).map(async ([exportedBy, [url]]) =>
        metricsOn(await fetchText(url!)).map((served) => ({ ...served, exportedBy })),
      ),
    );
    const ours = pages
      .flat()
      .filter(
        ({ name, exportedBy }) => /^(shop_|http_)/.test(name) || (exportedBy === 'API' && /^temporal_/.test(name)),
      );
    const byName = (one: { name: string }, two: { name: string }) => one.name.localeCompare(two.name);
    expect(ours.sort(byName)).toEqual(readDocumentedMetrics('Shop').sort(byName));
    const documentedByWorker = new Set(readDocumentedMetrics('SDK').map(({ name }) => name));
    const ofWorker = pages.flat().filter(({ name, exportedBy }) => exportedBy === 'worker' && /^temporal_/.test(name));
    expect(ofWorker.length).toBeGreaterThan(0);
    expect(ofWorker.map(({ name }) => name).filter((name) => !documentedByWorker.has(name))).toEqual([]);
  });

  test('no metric label identifies a person or a resource', async () => {
    const pages = await Promise.all(
      [`${urls.worker}/metrics`, `${urls.metrics}/metrics`, `${urls.metrics}/metrics/business`].map(fetchText),
    );
    for (const page of pages) {
      expect(page).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/);
      expect(page).not.toMatch(/customer-|SKU-|NO-SUCH|nothing\/of|grace|ada\b|tok_/);
    }
  });

  describe('live alerts', () => {
    const fired = new Set<string>();
    const expectToFire = async (...names: string[]) => {
      let firing: string[] = [];
      await waitUntil(
        async () => {
          firing = (await prometheus.firingAlerts()).map(({ name }) => name);
          for (const name of firing) fired.add(name);
          return names.every((name) => fired.has(name)) || undefined;
        },
        {
          description: `${names.filter((name) => !fired.has(name)).join(', ')} firing`,
          timeoutMs: WAIT_TIMEOUT_MS,
          intervalMs: 200,
        },
      ).catch((error: unknown) => {
        const missing = names.filter((name) => !fired.has(name));
        throw new Error(`${(error as Error).message}; missing: ${missing.join()}; firing: ${firing.join()}`);
      });
    };

    test('no alert fires while the shop is healthy', async () => {
      await waitUntil(async () => (await prometheus.firingAlerts()).length === 0 || undefined, {
        description: 'no alert firing',
        timeoutMs: WAIT_TIMEOUT_MS,
      });
    });

    test('each alert fires for its cause and resolves afterwards', async () => {
      // Causes the failures that need a running worker. All of them start together, because each alert takes a while to
      // fire.
      const stuck = await placeAndCharge();
      const standing = await addProduct(shop.store);
      lock = await lockProduct(shop.databaseUrl, standing.sku);
      const upload = await fetch(`${urls.api}/v1/batches?operation=restock`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: JSON.stringify({ sku: standing.sku, quantity: 1 }),
      });
      expect(upload.status).toBe(202);
      const overdue = await startApproval([
        { approvers: [{ id: 'grace' }], timeoutSeconds: 1 },
        { approvers: [{ id: 'alan' }], timeoutSeconds: 3_600 },
      ]);
      const unknown = await server.client.workflow.start('nobodyKnows', {
        workflowId: randomUUID(),
        taskQueue: ORDER_TASK_QUEUE,
        workflowTaskTimeout: '1 second',
      });
      const late = makeOrder({ lines: [{ sku, quantity: 1 }], deliveryTimeoutSeconds: 20 });
      await server.client.workflow.start('order', {
        workflowId: orderWorkflowId(late.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [late],
      });
      await waitForStage(late.orderId, 'awaiting_pickup');
      await shop.fakes.carrier.reportNow(late.orderId, 'in_transit');
      const unreconciled = await terminateAfterPickup();
      await reconcileOrders();
      shop.fakes.faults.add({ on: 'cancellation', orderId: stuck, fault: 'error', status: 400, times: -1 });
      await call('POST', `/v1/orders/${stuck}/cancel`, {});
      const oddReport = signShipmentReport(
        JSON.stringify({ orderId: stuck, shipmentId: 'sh_1', status: 'out_for_delivery' }),
      );
      await fetch(`${urls.api}/v1/callbacks/shipments`, {
        method: 'POST',
        headers: oddReport.headers!,
        body: oddReport.text!,
      });
      const misconfigured = makeOrder({ lines: [{ sku, quantity: 1 }] });
      shop.fakes.faults.add({
        on: 'charge',
        orderId: misconfigured.orderId,
        fault: 'error',
        status: 401,
        code: null,
        times: -1,
      });
      await call('POST', '/v1/orders', misconfigured);
      shop.fakes.faults.add({ on: 'charge', fault: 'error', times: -1 });
      line.stall();
      const busy = repeatEvery(400, async () => {
        await Promise.all([placeOrder(), call('GET', `/v1/orders/${stuck}`, undefined, urls.apiByLine)]);
      });
      await expectToFire(
        'ActivityFailureRateHigh',
        'CompensationStuck',
        'OrdersUnreconciled',
        'ApprovalsOverdue',
        'WorkflowTasksFailing',
        'BatchStalled',
      );
      await expectToFire(
        'DeliveryOverdue',
        'PartnerMisconfigured',
        'ApiErrorRateHigh',
        'ApiTemporalUnreachable',
        'BusinessMetricsIncomplete',
        'ShipmentReportUnhandled',
      );

      line.resume();
      shop.fakes.faults.clear();
      await lock.release();
      lock = undefined;
      await Promise.all([busy.stop(), unknown.terminate()]);
      await call('POST', `/v1/orders/${late.orderId}/delivery`, { attempt: 1, action: 'delivered' });
      // The operator lets the order continue, as the runbook says.
      const [point] = (await resetPoints(unreconciled)).slice(-1);
      const { workflowId, runId } = await unreconciled.describe();
      await resetRun(server.client, { workflowId, runId }, point!);
      await waitForCount(`WorkflowId = '${workflowId}' and ExecutionStatus = 'Running'`, 1);
      await reconcileOrders();
      await call('POST', `/v1/orders/${stuck}/compensation`, {
        compensation: 'cancelShipment',
        attempt: 1,
        action: 'retry',
      });
      await call('POST', `/v1/approvals/${overdue}/decision`, { approver: 'alan', decision: 'reject' });
      await waitForBody(`/v1/approvals/${overdue}`, ({ status }: { status: string }) => status === 'rejected');
      expect(await server.client.workflow.getHandle(approvalWorkflowId(overdue)).describe()).toMatchObject({
        status: { name: 'COMPLETED' },
      });

      // Kills the worker, to trigger the alerts about a missing worker.
      worker.kill('SIGKILL');
      const waiting = repeatEvery(500, () => placeOrder());
      await expectToFire('TargetDown', 'JobMissing', 'NoWorker', 'BacklogAgeHigh');
      // Starts the worker again as soon as the alert BacklogGrowing fires.
      [worker] = await Promise.all([startWorker(), expectToFire('BacklogGrowing').finally(() => waiting.stop())]);

      let firing: string[] = [];
      await waitUntil(
        async () => {
          firing = (await prometheus.firingAlerts()).map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
          return firing.length === 0 || undefined;
        },
        { description: 'every alert resolving', timeoutMs: WAIT_TIMEOUT_MS, intervalMs: 200 },
      ).catch((error: unknown) => {
        throw new Error(`${(error as Error).message}; firing: ${firing.join()}`);
      });
      const testedAlerts = alertRules.filter(({ alert }) => !TOO_SLOW_TO_FIRE.includes(alert));
      expect([...fired].sort()).toEqual(testedAlerts.map(({ alert }) => alert).sort());
    }, 240_000);
  });
});

/** Starts the action at each interval, even while earlier actions still run. Ignores failures. */
function repeatEvery(everyMs: number, run: () => Promise<unknown>): { stop: () => Promise<void> } {
  const running = new Set<Promise<unknown>>();
  const timer = setInterval(() => {
    const done = run()
      .catch(() => undefined)
      .finally(() => running.delete(done));
    running.add(done);
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}

/** Lists the metrics of a page with their labels, without the labels that Prometheus histograms and the SDK add. */
function metricsOn(page: string): Omit<DocumentedMetric, 'exportedBy'>[] {
  return [...page.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => {
    const labels = [...page.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{(.*)\\} `, 'gm'))].flatMap(
      ([, inner = '']) => [...inner.matchAll(/(\w+)="/g)].map(([, label]) => label!),
    );
    const added = ['le', 'namespace', 'taskQueue'];
    return { name, type, labels: [...new Set(labels)].filter((label) => !added.includes(label)).sort() };
  });
}
