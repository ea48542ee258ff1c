import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { orderId, type OrderResource } from '../../../schemas/order.js';
import { requestContextOf } from '../../http/request-context.js';
import { createSharedReads } from '../../http/live/shared-reads.js';
import { cancelOrder, resolveCompensation, resolveDelivery } from '../../orders/commands.js';
import { getOrder } from '../../orders/read.js';
import { HttpProblem, notFound } from '../../problems/http-problem.js';
import { updateIdOfContent } from '../../../temporal/client/operation-ids.js';
import { withConsoleContract, withLiveContract } from '../contract.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import { sendNotFoundPage } from '../not-found-page.js';
import type { ConsolePageDependencies } from '../routes.js';
import { cancelForm, compensationForm, deliveryForm, parseOrderForm, type FormDraft } from './action-forms.js';
import { orderPath, ORDERS_PATH } from './list-page.js';
import { orderHtml } from './order-page.js';
import { isComplete, isFinal, readSnapshot, snapshotFor, type OrderSnapshot } from './snapshot.js';

interface OrderRoute {
  Params: { orderId: string };
}

const access = ['operator', 'shopper'] as const;

/** The page of an order, its live stream, and its forms. */
export function orderPageRoutes(app: FastifyInstance, deps: ConsolePageDependencies): void {
  const sharedReads = createSharedReads(0);
  /** A read that still waits for a worker is shared, so that followers of an order cause at most one query. */
  const readShared = (id: string) =>
    readSnapshot(
      deps,
      id,
      sharedReads(id, () => getOrder(deps, id)),
    );

  async function sendOrderPage(
    request: FastifyRequest,
    reply: FastifyReply,
    { id, ...form }: { id: string; status?: number; formProblem?: string; draft?: FormDraft },
  ): Promise<FastifyReply> {
    const snapshot = snapshotFor(await readSnapshot(deps, id), request.caller);
    return sendConsolePage(request, reply, {
      title: `Order ${id}`,
      section: 'orders',
      status: form.status ?? snapshot.problem?.status ?? 200,
      content: orderHtml({ snapshot, caller: request.caller, deps, ...form }),
      // A page with a problem of a form does not change, because an update would replace the problem.
      livePath: form.formProblem === undefined && !isFinal(snapshot) ? `${orderPath(id)}/live` : undefined,
    });
  }

  app.get<OrderRoute>(
    '/:orderId',
    withConsoleContract({ operationId: 'openOrder', summary: 'Open the page of an order', access }),
    async (request, reply) => {
      const id = readOrderId(request);
      try {
        return await sendOrderPage(request, reply, { id });
      } catch (error) {
        if (error instanceof HttpProblem && error.kind === 'not-found') return sendOrderNotFound(request, reply, id);
        throw error;
      }
    },
  );

  app.get<OrderRoute>(
    '/:orderId/live',
    withLiveContract({ operationId: 'followOrder', summary: 'Follow an order', access }),
    async (request, reply) => {
      const id = readOrderId(request);
      const { caller } = request;
      const first = await readShared(id);
      // Throws for a caller who may not see the order.
      snapshotFor(first, caller);
      let lastSeen: { order: OrderResource; at: string } | undefined;
      return deps.liveStreams.send(request, reply, {
        key: `order ${id}`,
        read: () => readShared(id),
        first,
        isFinal,
        render: (shared: OrderSnapshot) => {
          const snapshot = snapshotFor(shared, caller);
          const { order } = snapshot;
          if (order && isComplete(order)) lastSeen = { order, at: new Date().toISOString() };
          return orderHtml({ snapshot, caller, deps, lastSeen });
        },
      });
    },
  );

  interface OrderForm<Form> {
    path: string;
    operationId: string;
    summary: string;
    roles: readonly ('operator' | 'shopper')[];
    schema: z.ZodType<Form>;
    /** The field that a person types, and the form to open again when the field is invalid. */
    typed?: { field: string; form: FormDraft['form'] };
    /** What the caller chose, for the log. */
    loggedAction?: (form: Form) => string;
    run: (id: string, form: Form, context: ReturnType<typeof requestContextOf>) => Promise<unknown>;
  }

  function addForm<Form>({
    path,
    operationId,
    summary,
    roles,
    schema,
    typed,
    loggedAction,
    run,
  }: OrderForm<Form>): void {
    app.post<OrderRoute>(
      `/:orderId/${path}`,
      withConsoleContract({ operationId, summary, access: roles }),
      async (request, reply) => {
        const id = readOrderId(request);
        const body = (request.body ?? {}) as Record<string, unknown>;
        const { form, problem } = parseOrderForm(schema, body);
        if (problem !== undefined) {
          const value = typed && body[typed.field];
          const draft = typed && typeof value === 'string' ? { form: typed.form, value } : undefined;
          const formProblem = `Nothing was changed. ${problem}.`;
          return await sendOrderPage(request, reply, { id, status: 400, formProblem, ...(draft && { draft }) });
        }
        if (loggedAction) request.loggedFields = { action: loggedAction(form) };
        // A repeated decision, for example a double click, has the same id and takes effect once.
        const context = {
          ...requestContextOf(request),
          operationId: updateIdOfContent(operationId, form as object),
        };
        try {
          await run(id, form, context);
        } catch (error) {
          if (!(error instanceof HttpProblem) || error.status === 404) throw error;
          const effect = error.status < 500 ? 'Nothing was changed' : 'It is unknown whether the request took effect';
          const formProblem = `${effect}: ${error.message}`;
          return await sendOrderPage(request, reply, { id, status: error.status, formProblem });
        }
        return redirectWithinConsole(reply, `/orders/${id}`);
      },
    );
  }

  addForm({
    path: 'cancel',
    operationId: 'submitOrderCancellation',
    summary: 'Cancel an order',
    roles: access,
    schema: cancelForm,
    typed: { field: 'reason', form: 'cancel' },
    run: (id, { reason }, context) => cancelOrder(deps, id, reason === undefined ? {} : { reason }, context),
  });
  addForm({
    path: 'compensation',
    operationId: 'submitCompensationDecision',
    summary: 'Retry or skip a stuck compensation',
    roles: ['operator'],
    schema: compensationForm,
    loggedAction: ({ action }) => action,
    run: (id, decision, context) => resolveCompensation(deps, id, decision, context),
  });
  addForm({
    path: 'delivery',
    operationId: 'submitDeliveryDecision',
    summary: 'Resolve an overdue delivery',
    roles: ['operator'],
    schema: deliveryForm,
    typed: { field: 'extendByHours', form: 'wait' },
    loggedAction: ({ action }) => action,
    run: (id, decision, context) => resolveDelivery(deps, id, decision, context),
  });
}

/** @throws 404 for a text that is no order id. */
function readOrderId({ params }: FastifyRequest<OrderRoute>): string {
  const id = orderId.safeParse(params.orderId);
  if (id.success) return id.data;
  throw notFound('the path contains no valid order id');
}

const sendOrderNotFound = (request: FastifyRequest, reply: FastifyReply, id: string): FastifyReply =>
  sendNotFoundPage(request, reply, {
    resource: `order ${id}`,
    section: 'orders',
    reasons: [
      'The id is wrong. The list finds orders by the start of their id.',
      'The order belongs to another customer.',
      'The request that placed the order did not reach Temporal. Placing it again with the same id is safe.',
    ],
    hint: 'A new order has this page at once. It appears in the list once a worker has reserved its stock.',
    links: [{ text: 'Show all orders', path: ORDERS_PATH }],
  });
