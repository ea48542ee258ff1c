import * as restate from '@restatedev/restate-sdk';
import { request } from 'undici';
import { CardDeclined, createOrderSteps } from './order-steps.mjs';
import { serveOrders } from './http-server.mjs';

/** The order on Restate: the Restate server calls the handlers of this process, and keeps a journal of their steps. */
const { DATABASE_URL, FAKES_URL, SERVICE_PORT, INGRESS_URL, ADMIN_URL } = process.env;
const steps = createOrderSteps({ databaseUrl: DATABASE_URL, fakesUrl: FAKES_URL });

const runStep = (ctx, name, order) =>
  ctx.run(name, async () => {
    try {
      await steps[name](order);
    } catch (error) {
      if (error instanceof CardDeclined) throw new restate.TerminalError(error.message, { errorCode: 402 });
      throw error;
    }
  });

function ignoreConflict(error) {
  if (!(error instanceof restate.TerminalError) || error.code !== 409) throw error;
}

const order = restate.workflow({
  name: 'order',
  handlers: {
    run: async (ctx, input) => {
      const compensations = [];
      try {
        compensations.unshift('release');
        await runStep(ctx, 'reserve', input);
        compensations.unshift('refund');
        await runStep(ctx, 'charge', input);
      } catch (error) {
        if (!(error instanceof restate.TerminalError)) throw error;
        for (const name of compensations) await runStep(ctx, name, input);
        return 'declined';
      }
      await runStep(ctx, 'ship', input);
      await ctx.promise('in_transit');
      await ctx.promise('delivered');
      await runStep(ctx, 'complete', input);
      return 'completed';
    },
    report: async (ctx, status) => {
      // The carrier repeats a report whose response was lost. A promise resolves only once.
      await ctx.promise(status).resolve().catch(ignoreConflict);
    },
  },
});

async function call(method, url, body) {
  const response = await request(url, {
    method,
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) throw new Error(`${url} returned ${response.statusCode}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

await steps.createTables();
await restate.serve({ services: [order], port: Number(SERVICE_PORT) });
await call('POST', `${ADMIN_URL}/deployments`, { uri: `http://127.0.0.1:${SERVICE_PORT}`, force: true });
await serveOrders({
  start: (input) => call('POST', `${INGRESS_URL}/order/${input.orderId}/run/send`, input),
  resultOf: (orderId) => call('GET', `${INGRESS_URL}/restate/workflow/order/${orderId}/attach`),
  report: ({ orderId, status }) => call('POST', `${INGRESS_URL}/order/${orderId}/report`, status),
});
