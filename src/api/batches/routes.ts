import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { batchFailureList, batchId, batchList, batchResource, batchStatus, isOpenBatch } from '../../schemas/batch.js';
import { emptyQuery, pageQuery } from '../../schemas/shared/page.js';
import type { AppDependencies } from '../dependencies.js';
import { notAcceptable } from '../problems/http-problem.js';
import { STREAM_TIMEOUT_MS, UPLOAD_TIMEOUT_MS } from '../limits.js';
import { sendEventStream } from '../http/live/event-stream.js';
import { readListPage } from '../http/lists/list-pages.js';
import { requestContextOf } from '../http/request-context.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { cancelBatch, pauseBatch, resumeBatch } from './commands.js';
import { openFailureFile, sendFailureFile } from './failure-file.js';
import { listBatchFailures } from './list-failures.js';
import { listBatches } from './list.js';
import { getBatch } from './read.js';
import type { BatchServices } from './services.js';
import { retryBatch } from './start.js';
import type { ItemFormat } from './upload/parse-items.js';
import { batchUploadRoute } from './upload/route.js';

const params = z.strictObject({ batchId });
const noBody = z.strictObject({}).nullish();

/** Routes of batches: upload, read, list, follow, pause, resume, cancel, retry. */
export async function batchRoutes(
  instance: FastifyInstance,
  deps: Pick<AppDependencies, 'cursors' | 'batchOperations'> & {
    batches: BatchServices;
    /** Aborts when the process shuts down, to end the event streams. */
    closing: AbortSignal;
  },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { batches: batchDeps, cursors, closing, batchOperations } = deps;
  const { store, uploadBatch, followBatch } = batchDeps;

  await app.register(batchUploadRoute, { uploadBatch, prefix: '' });

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listBatches',
        summary: 'List batches, newest upload first',
        description: 'Reads the store, where each batch records its progress.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ status: batchStatus.optional() }),
        response: { 200: batchList },
      },
    },
    async (request) => {
      const { limit: _limit, cursor: _cursor, ...filter } = request.query;
      return await readListPage(cursors, {
        list: 'batches',
        filter,
        query: request.query,
        read: (page) => listBatches(batchDeps, filter, page),
      });
    },
  );

  app.get(
    '/:batchId',
    {
      ...withContract({
        operationId: 'getBatch',
        summary: 'Get a batch with its progress',
        description: 'Counts the items in the store; no worker is needed.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['temporal', 'store'],
      }),
      schema: { params, querystring: emptyQuery, response: { 200: batchResource } },
    },
    async (request) => getBatch(batchDeps, request.params.batchId),
  );

  app.get(
    '/:batchId/failures',
    {
      ...withContract({
        operationId: 'listBatchFailures',
        summary: 'List the failed items of a batch, with line and reason',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['store'],
        problems: ['batch-items-deleted'],
      }),
      schema: { params, querystring: pageQuery, response: { 200: batchFailureList } },
    },
    async (request) => {
      const { batchId } = request.params;
      return await readListPage(cursors, {
        list: 'failures',
        filter: { batchId },
        query: request.query,
        read: (page) => listBatchFailures(store, batchId, page),
      });
    },
  );

  app.get(
    '/:batchId/failures/file',
    {
      handlerTimeout: UPLOAD_TIMEOUT_MS,
      ...withContract({
        operationId: 'downloadBatchFailures',
        summary: 'Download all failed items as a file in the format of an upload',
        description:
          'Newline-delimited JSON, or CSV with `Accept: text/csv`. The file contains the items as uploaded, without line and reason. The corrected file can be uploaded as a new batch.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['store'],
        problems: ['not-acceptable', 'batch-items-deleted'],
        headers: { 'content-disposition': 'The name of the file.' },
      }),
      schema: {
        params,
        querystring: emptyQuery,
        response: {
          200: {
            description: 'All failed items, in the order of the upload.',
            content: {
              'application/x-ndjson': { schema: failureFileSchema },
              'text/csv': { schema: failureFileSchema },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const file = await openFailureFile({ store, batchOperations }, request.params.batchId, fileFormatOf(request));
      return sendFailureFile(reply, file);
    },
  );

  app.get(
    '/:batchId/events',
    {
      handlerTimeout: STREAM_TIMEOUT_MS,
      ...withContract({
        operationId: 'followBatch',
        summary: 'Follow a batch as server-sent events',
        description:
          'Sends a `progress` event with the batch as data on every change, and an `end` event with the final state.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['temporal', 'store'],
        problems: ['not-acceptable'],
      }),
      schema: {
        params,
        querystring: emptyQuery,
        response: { 200: { content: { 'text/event-stream': { schema: eventStreamSchema } } } },
      },
    },
    async (request, reply) => {
      const { batchId } = request.params;
      if (!acceptsEvents(request)) throw notAcceptable('the Accept header must include text/event-stream');
      await followBatch(batchId);
      const readEvent = async () => {
        const batch = await followBatch(batchId);
        const isLast = !isOpenBatch(batch.status);
        return { event: isLast ? 'end' : 'progress', data: JSON.stringify(batch), isLast };
      };
      return sendEventStream(reply, readEvent, closing) as never;
    },
  );

  const commandSchema = { params, querystring: emptyQuery, body: noBody, response: { 202: batchResource } };

  app.post(
    '/:batchId/pause',
    {
      ...commandContract({
        operationId: 'pauseBatch',
        summary: 'Pause a batch',
        description: 'Running chunks finish; no further chunk starts until the batch is resumed.',
        problems: NOT_OPEN_PROBLEMS,
      }),
      schema: commandSchema,
    },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await pauseBatch(batchDeps, params.batchId, callIdentity?.operationId)),
  );

  app.post(
    '/:batchId/resume',
    {
      ...commandContract({
        operationId: 'resumeBatch',
        summary: 'Resume a batch',
        description: 'If no worker is available, the batch continues when a worker starts.',
        problems: NOT_OPEN_PROBLEMS,
      }),
      schema: commandSchema,
    },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await resumeBatch(batchDeps, params.batchId, callIdentity?.operationId)),
  );

  app.post(
    '/:batchId/cancel',
    {
      ...commandContract({
        operationId: 'cancelBatch',
        summary: 'Cancel a batch',
        description: 'Processed items are not rolled back.',
        problems: NOT_OPEN_PROBLEMS,
      }),
      schema: commandSchema,
    },
    async ({ params }, reply) => reply.code(202).send(await cancelBatch(batchDeps, params.batchId)),
  );

  app.post(
    '/:batchId/retry',
    {
      ...commandContract({
        operationId: 'retryBatch',
        summary: 'Retry the items of a batch that have not succeeded',
        description: 'Starts another attempt. Items that succeeded are not processed again.',
        problems: ['batch-running', 'batch-closed', 'nothing-to-retry'],
      }),
      schema: commandSchema,
    },
    async (request, reply) =>
      reply.code(202).send(await retryBatch(batchDeps, request.params.batchId, requestContextOf(request))),
  );
}

const failureFileSchema = z.string().describe('All failed items, as uploaded.');

/** @throws 406 when the caller accepts neither NDJSON nor CSV. */
function fileFormatOf({ headers: { accept = '*/*' } }: FastifyRequest): ItemFormat {
  if (/\btext\/csv\b/i.test(accept)) return 'csv';
  if (/\bapplication\/(x-ndjson|\*)|\*\/\*/i.test(accept)) return 'ndjson';
  if (/\btext\/\*/i.test(accept)) return 'csv';
  throw notAcceptable('the Accept header must include application/x-ndjson or text/csv');
}

const eventStreamSchema = z.string().describe('Server-sent events');

const NOT_OPEN_PROBLEMS = ['batch-closed', 'batch-not-started'] as const;

const commandContract = (contract: Pick<RouteContract, 'operationId' | 'summary' | 'description' | 'problems'>) =>
  withContract({
    tag: 'Batches',
    access: ['operator'],
    dependencies: ['temporal', 'store'],
    idempotency: true,
    ...contract,
  });

const acceptsEvents = ({ headers }: FastifyRequest) =>
  /text\/event-stream|text\/\*|\*\/\*/.test(headers.accept ?? '*/*');
