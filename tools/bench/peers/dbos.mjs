import { DBOS } from '@dbos-inc/dbos-sdk';
import { CardDeclined, createOrderSteps } from './order-steps.mjs';
import { serveOrders } from './http-server.mjs';

/** The order on DBOS: a workflow in this process, whose steps are recorded in PostgreSQL. */
const { DATABASE_URL, FAKES_URL } = process.env;
const steps = createOrderSteps({ databaseUrl: DATABASE_URL, fakesUrl: FAKES_URL });
const MAX_WAIT_SECONDS = 3_600;

const runStep = (name, order) =>
  DBOS.runStep(() => steps[name](order).then(() => null), {
    name,
    retriesAllowed: true,
    maxAttempts: 100,
    shouldRetry: (error) => !(error instanceof CardDeclined),
  });

const runOrder = DBOS.registerWorkflow(
  async (order) => {
    const compensations = [];
    try {
      compensations.unshift('release');
      await runStep('reserve', order);
      compensations.unshift('refund');
      await runStep('charge', order);
    } catch {
      for (const name of compensations) await runStep(name, order);
      return 'declined';
    }
    await runStep('ship', order);
    await DBOS.recv('in_transit', MAX_WAIT_SECONDS);
    await DBOS.recv('delivered', MAX_WAIT_SECONDS);
    await runStep('complete', order);
    return 'completed';
  },
  { name: 'order' },
);

/** The orders that this process has started. DBOS polls once a second for the result of others. */
const handles = new Map();

await steps.createTables();
DBOS.setConfig({ name: 'orders', systemDatabaseUrl: DATABASE_URL, logLevel: 'error', runAdminServer: false });
await DBOS.launch();
await serveOrders({
  async start(order) {
    handles.set(order.orderId, await DBOS.startWorkflow(runOrder, { workflowID: order.orderId })(order));
  },
  resultOf: (orderId) => (handles.get(orderId) ?? DBOS.retrieveWorkflow(orderId)).getResult(),
  report: ({ orderId, status }) => DBOS.send(orderId, status, status, `${orderId}:${status}`),
});
