import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { batchId, isOpenBatch, type BatchResource } from '../../../schemas/batch.js';
import { pageQuery } from '../../../schemas/shared/page.js';
import { cancelBatch, pauseBatch, resumeBatch } from '../../batches/commands.js';
import { openFailureFile, sendFailureFile } from '../../batches/failure-file.js';
import { listBatchFailures } from '../../batches/list-failures.js';
import { listBatches } from '../../batches/list.js';
import { getBatch } from '../../batches/read.js';
import { retryBatch } from '../../batches/start.js';
import type { Caller } from '../../http/caller.js';
import { readListPage } from '../../http/lists/list-pages.js';
import { requestContextOf, type RequestContext } from '../../http/request-context.js';
import { createSharedReads } from '../../http/live/shared-reads.js';
import { UPLOAD_TIMEOUT_MS } from '../../limits.js';
import { catchProblem } from '../../problems/error-mapping.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { withConsoleContract, withLiveContract } from '../contract.js';
import { redirectWithinConsole, sendConsolePage } from '../layout.js';
import { registerListRoutes } from '../list-routes.js';
import { isFiltered } from '../query.js';
import { sendNotFoundPage } from '../not-found-page.js';
import type { ConsolePageDependencies } from '../routes.js';
import { BATCH_COMMANDS, batchContent, failuresContent, isFinal, type BatchCommand, type BatchPage } from './page.js';
import { otherToolsHtml } from '../workflow-links.js';
import { batchWorkflowId } from '../../../workflows/batch/contract.js';
import { BATCHES_PATH } from './status.js';
import { listContent, parseBatchFilter } from './list-page.js';
import { newUploadValues, uploadRoute } from './upload-route.js';
import { uploadFormHtml } from './upload-form.js';

type BatchFilter = ReturnType<typeof parseBatchFilter>;

const params = z.strictObject({ batchId });
const access = ['operator'] as const;

/** Number of failed items on the page of a batch. */
const SHOWN_FAILURES = 20;

/** How long the failed items of a running batch are shown before they are read again. */
const FAILURES_MAX_AGE_MS = 5_000;

/** Opens the upload form, with the operation of the batch whose failed items are uploaded again. */
const uploadQuery = z.object({
  upload: z.literal('open').optional().catch(undefined),
  operation: z.string().optional().catch(undefined),
});

/** The `of` field of a retry names the execution whose items are retried. */
const commandForm = z.object({ of: z.string().max(100).optional().catch(undefined) }).nullish();

/** Pages of batches: list, upload, progress, commands and failed items. */
export async function batchPages(instance: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { batches, batchOperations, cursors } = deps;
  const { store } = batches;
  const operations = [...batchOperations.values()];
  const sharedFailures = createSharedReads(FAILURES_MAX_AGE_MS);

  await app.register(uploadRoute, { ...deps, prefix: '/upload' });

  registerListRoutes(app, deps, {
    title: 'Batches',
    section: 'batches',
    path: BATCHES_PATH,
    livePath: '_live',
    access,
    contracts: {
      open: { operationId: 'openConsoleBatches', summary: 'Open the list of batches' },
      follow: { operationId: 'followConsoleBatches', summary: 'Follow the list of batches' },
    },
    parseFilter: parseBatchFilter,
    listOf: ({ query }, filter) => {
      const render = createListRenderer(query, filter);
      return {
        invalidHtml: () => render(undefined),
        open: (query) => ({ key: JSON.stringify(['batches', query]), read: () => readList(query), render }),
      };
    },
  });

  const readList = ({ status, ...query }: NonNullable<BatchFilter['query']>) =>
    readListPage(cursors, {
      list: 'batches',
      filter: { status },
      query,
      read: (page) => listBatches(batches, { status }, page),
    });

  /** All updates of a page contain the same upload form, because its ids are random. */
  function createListRenderer(query: unknown, filter: BatchFilter) {
    const { upload, operation } = uploadQuery.parse(query);
    const chosen = operation !== undefined && batchOperations.has(operation) ? { operation } : {};
    const formHtml = uploadFormHtml({ operations, values: { ...newUploadValues(), ...chosen } });
    return (page: Awaited<ReturnType<typeof readList>> | undefined) =>
      listContent({
        page,
        filter,
        uploadFormHtml: formHtml,
        isUploading: upload === 'open' || (page?.items.length === 0 && !isFiltered(filter)),
      });
  }

  const readFailures = (batchId: string, query: { limit: number; cursor?: string | undefined }) =>
    readListPage(cursors, {
      list: 'failures',
      filter: { batchId },
      query,
      read: (page) => listBatchFailures(store, batchId, page),
    });

  const firstFailures = ({ batchId, failed, itemsDeletedAt }: BatchResource) =>
    failed === 0 || itemsDeletedAt ? { items: [] } : readFailures(batchId, { limit: SHOWN_FAILURES });

  async function readNow(batchId: string): Promise<BatchPage> {
    const batch = await getBatch(batches, batchId);
    return { batch, failures: await firstFailures(batch) };
  }

  /** Reads the failures of a running batch less often than its progress, because it can have many chunks. */
  async function followPage(batchId: string): Promise<BatchPage> {
    const batch = await batches.followBatch(batchId);
    const read = () => Promise.resolve(firstFailures(batch));
    // Before the first failure, nothing is read, and a shared empty list would contradict the next count.
    const isShared = isOpenBatch(batch.status) && batch.failed > 0;
    return { batch, failures: await (isShared ? sharedFailures(batchId, read) : read()) };
  }

  const toolsOf = (caller: Caller, { batch: { batchId, workflow } }: BatchPage) =>
    otherToolsHtml(deps, caller, {
      workflowId: batchWorkflowId(batchId),
      runId: workflow?.runId,
      apiPath: `/v1/batches/${batchId}`,
    });

  const send = (request: FastifyRequest, reply: FastifyReply, page: BatchPage, status = 200) => {
    const { batchId } = page.batch;
    // A page with a message is not live, because an update would remove the message.
    const livePath = page.notice === undefined && !isFinal(page.batch) ? `${BATCHES_PATH}/${batchId}/live` : undefined;
    const content = batchContent({ ...page, toolsHtml: toolsOf(request.caller, page) });
    return sendConsolePage(request, reply, { title: batchId, section: 'batches', status, content, livePath });
  };

  app.get(
    '/:batchId',
    {
      ...withConsoleContract({ operationId: 'openConsoleBatch', summary: 'Open a batch', access }),
      schema: { params },
    },
    async (request, reply) => {
      const { batchId } = request.params;
      const page = await catchProblem('not-found', () => readNow(batchId));
      if (page instanceof HttpProblem) return sendBatchNotFound(request, reply, batchId);
      return send(request, reply, page);
    },
  );

  app.get(
    '/:batchId/live',
    {
      ...withLiveContract({ operationId: 'followConsoleBatch', summary: 'Follow a batch', access }),
      schema: { params },
    },
    async (request, reply) => {
      const { batchId } = request.params;
      const first = await followPage(batchId);
      return deps.liveStreams.send(request, reply, {
        key: `batch ${batchId}`,
        read: () => followPage(batchId),
        first,
        isFinal: ({ batch }) => isFinal(batch),
        render: (page) => batchContent({ ...page, toolsHtml: toolsOf(request.caller, page) }),
      });
    },
  );

  app.get(
    '/:batchId/failures',
    {
      ...withConsoleContract({ operationId: 'openConsoleFailures', summary: 'Open the failed items', access }),
      schema: { params, querystring: z.object(pageQuery.shape) },
    },
    async (request, reply) => {
      const { params, query } = request;
      const batch = await getBatch(batches, params.batchId);
      const failures = await readFailures(params.batchId, query);
      const content = failuresContent({ batch, failures }, { cursor: query.cursor });
      return sendConsolePage(request, reply, {
        title: `Failed items of ${batch.batchId}`,
        section: 'batches',
        content,
      });
    },
  );

  for (const format of ['csv', 'ndjson'] as const) {
    app.get(
      `/:batchId/failures.${format}`,
      {
        handlerTimeout: UPLOAD_TIMEOUT_MS,
        ...withConsoleContract({
          operationId: `downloadConsoleFailures_${format}`,
          summary: 'Download the failed items',
          access,
        }),
        schema: { params },
      },
      async (request, reply) =>
        sendFailureFile(reply, await openFailureFile({ store, batchOperations }, request.params.batchId, format)),
    );
  }

  const commands: Record<BatchCommand, (batchId: string, context: RequestContext) => Promise<unknown>> = {
    pause: (batchId, { operationId }) => pauseBatch(batches, batchId, operationId),
    resume: (batchId, { operationId }) => resumeBatch(batches, batchId, operationId),
    cancel: (batchId) => cancelBatch(batches, batchId),
    retry: (batchId, context) => retryBatch(batches, batchId, context),
  };
  for (const command of BATCH_COMMANDS) {
    app.post(
      `/:batchId/${command}`,
      {
        ...withConsoleContract({
          operationId: `${command}ConsoleBatch`,
          summary: `${command} a batch`,
          access,
        }),
        schema: { params, body: commandForm },
      },
      async (request, reply) => {
        const { batchId } = request.params;
        const { of } = request.body ?? {};
        const operationId = of === undefined ? undefined : `console ${command} ${batchId} ${of}`;
        try {
          await commands[command](batchId, { ...requestContextOf(request), operationId });
        } catch (error) {
          if (!(error instanceof HttpProblem && error.status === 409)) throw error;
          const page = { ...(await readNow(batchId)), notice: `Nothing was changed: ${error.message}.` };
          return send(request, reply, page, error.status);
        }
        return redirectWithinConsole(reply, `/batches/${batchId}`);
      },
    );
  }
}

const sendBatchNotFound = (request: FastifyRequest, reply: FastifyReply, batchId: string): FastifyReply =>
  sendNotFoundPage(request, reply, {
    resource: `batch ${batchId}`,
    section: 'batches',
    reasons: [
      'The id is wrong.',
      'The upload was rejected or interrupted, so nothing was stored. Uploading the file again with the same id is safe.',
    ],
    links: [
      { text: 'Show all batches', path: BATCHES_PATH },
      { text: 'Upload a file', path: `${BATCHES_PATH}?upload=open#upload` },
    ],
  });
