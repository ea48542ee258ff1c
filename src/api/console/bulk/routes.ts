import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  batchBulkRequest,
  MAX_BULK_ITEMS,
  orderBulkRequest,
  retryableBatchStatus,
  type BulkItem,
  type BulkResult,
} from '../../../schemas/bulk.js';
import { changeManyBatches } from '../../bulk/batches.js';
import { changeManyOrders } from '../../bulk/orders.js';
import type { BulkOptions } from '../../bulk/run.js';
import { parseInput } from '../../http/parse-input.js';
import { requestContextOf, type RequestContext } from '../../http/request-context.js';
import { itemLogOf } from '../../plugins/action-log.js';
import { withConsoleContract } from '../contract.js';
import { STREAM_TIMEOUT_MS } from '../../limits.js';
import { describeProblems, parseInputs, type NamedInput } from '../forms/problems.js';
import { sendConsolePage, sendConsolePageInParts, type Section } from '../layout.js';
import { ORDER_FILTER } from '../orders/list-page.js';
import type { ConsolePageDependencies } from '../routes.js';
import { previewContent, type BulkForm, type BulkSubject } from './pages.js';
import { countsText, resultParts } from './result-page.js';
import { filterFieldsHtml } from '../filter-form.js';
import { readFields, toFilterValues, type FilterFields } from '../query.js';
import { BATCHES, ORDERS } from './subjects.js';

const field = z.string().trim().catch('');
const resultForm = z.object({ form: z.uuid().catch(() => randomUUID()), action: field, ids: field, reason: field });

interface BulkPages<Schema extends z.ZodType> {
  subject: BulkSubject;
  section: Section;
  /** The schema of the request of the API. */
  schema: Schema;
  /** The property of the request that contains the ids. */
  idsField: string;
  /** The action if the query string names none. */
  defaultAction: string;
  /** The fields of the filter in the query string. */
  fields: FilterFields;
  /** Removes the values of the filter that do not apply to the action. */
  restrictFilter?: (filter: Record<string, string>) => object;
  run: (body: z.infer<Schema>, context: RequestContext & BulkOptions) => Promise<BulkResult>;
}

/** Pages that preview an action on many resources, apply it, and show the result of each. */
export async function bulkPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  bulkPage(app, deps.closing, {
    subject: ORDERS,
    section: 'orders',
    schema: orderBulkRequest,
    idsField: 'orderIds',
    // An operator must choose to cancel.
    defaultAction: 'retry_compensations',
    fields: ORDER_FIELDS,
    run: (body, context) => changeManyOrders(deps, body, context),
  });

  bulkPage(app, deps.closing, {
    subject: BATCHES,
    section: 'batches',
    schema: batchBulkRequest,
    idsField: 'batchIds',
    defaultAction: 'retry',
    fields: {
      status: { label: 'Status', options: retryableBatchStatus.options, anyText: 'All that can be retried' },
    },
    // A link from the list can name a status to which the action does not apply.
    restrictFilter: ({ status }) => (retryableBatchStatus.safeParse(status).success ? { status } : {}),
    run: (body, context) => changeManyBatches(deps.batches, body, context),
  });
}

/** The inputs of the selection, as problems name them. */
const INPUTS: Readonly<Record<string, NamedInput>> = {
  ...ORDER_FILTER,
  limit: { label: 'At most', minimum: 1, maximum: MAX_BULK_ITEMS },
};

const inputOf = (name: PropertyKey | undefined): NamedInput => INPUTS[String(name)] ?? { label: '' };

/** The status follows from the action. */
const { status: _, ...ORDER_FIELDS } = ORDER_FILTER;

function bulkPage<Schema extends z.ZodType>(
  app: FastifyInstance,
  closing: AbortSignal,
  pages: BulkPages<Schema>,
): void {
  const { subject, section, schema, idsField, fields, restrictFilter = (filter) => filter, run } = pages;
  const { path, title } = subject;
  const access = ['operator'] as const;

  function readForm(query: unknown): BulkForm {
    const { action = '', limit = '' } = readFields(query, { action: true, limit: true });
    return {
      action: action in subject.actions ? action : pages.defaultAction,
      limit,
      filter: readFields(query, fields),
    };
  }

  app.get(
    `/${path}`,
    withConsoleContract({ operationId: `previewBulk_${path}`, summary: title, access }),
    async (request, reply) => {
      const form = readForm(request.query);
      const page = {
        subject,
        form,
        filterHtml: filterFieldsHtml(fields, { typed: form.filter, problems: [] }),
        formId: randomUUID(),
      };
      const value = {
        action: form.action,
        filter: restrictFilter(toFilterValues(form.filter, fields)),
        ...(form.limit && { limit: Number(form.limit) }),
        dryRun: true,
      };
      const { data, problems } = parseInputs(schema, value, (path) => inputOf(path.at(-1)));
      if (problems) {
        const problem = describeProblems(problems, (name) => inputOf(name).label);
        return send(request, reply, { status: 400, content: previewContent({ ...page, problem }) });
      }
      return send(request, reply, {
        content: previewContent({ ...page, preview: await run(data, contextOf(request)) }),
      });
    },
  );

  app.post(
    `/${path}`,
    {
      ...withConsoleContract({ operationId: `runBulk_${path}`, summary: title, access }),
      // The changes can take minutes. Each change has a time limit.
      handlerTimeout: STREAM_TIMEOUT_MS,
    },
    async (request, reply) => {
      const { form, action, ids, reason } = resultForm.parse(request.body ?? {});
      const selected = [...new Set(ids.split(/\s+/))];
      const body = parseInput(schema, { action, [idsField]: selected, ...(reason && { reason }) });
      request.loggedFields = { action };
      const parts = resultParts({ subject, action, count: selected.length });
      const context = { ...contextOf(request), operationId: form };
      const disconnected = new AbortController();
      reply.raw.once('close', () => disconnected.abort());
      return sendConsolePageInParts(
        request,
        reply,
        { title, section, content: parts.start },
        {
          async writeRest(write) {
            const ended: BulkItem[] = [];
            const onItem = (item: BulkItem) => write(parts.rowHtml({ item, number: ended.push(item) }));
            const stop = AbortSignal.any([closing, disconnected.signal]);
            const { items } = await run(body, { ...context, stop, onItem });
            if (disconnected.signal.aborted)
              context.log.warn({ action, result: countsText(items) }, 'the client left a bulk action before its end');
            write(parts.end(items));
          },
          failureHtml: parts.failure,
        },
      );
    },
  );

  const send = (request: FastifyRequest, reply: FastifyReply, page: { status?: number; content: string }) =>
    sendConsolePage(request, reply, { title, section, ...page });
}

const contextOf = (request: FastifyRequest) => ({ ...requestContextOf(request), log: itemLogOf(request) });
