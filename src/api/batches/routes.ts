import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { batchFailureList, batchId, batchList, batchResource, batchStatus } from '../../schemas/batch.js';
import { emptyQuery, pageQuery } from '../../schemas/shared/page.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { notAcceptable } from '../problems/http-problem.js';
import { UPLOAD_TIMEOUT_MS } from '../limits.js';
import { readListPage } from '../http/list-pages.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { cancelBatch, pauseBatch, resumeBatch } from './commands.js';
import { streamBatchEvents } from './event-stream.js';
import { listBatchFailures } from './list-failures.js';
import { listBatches } from './list.js';
import { createProgressCache } from './progress-cache.js';
import { getBatch } from './read.js';
import { retryBatch } from './start.js';
import { batchUploadRoute } from './upload/route.js';

const params = z.strictObject({ batchId });
const noBody = z.strictObject({}).nullish();

/** Routes of batches: upload, read, list, follow, pause, resume, cancel, retry. */
export async function batchRoutes(
  instance: FastifyInstance,
  deps: Backends &
    Pick<AppDependencies, 'cursors' | 'batchOperations' | 'uploadLimits'> & {
      /** Aborts when the process shuts down, to end the event streams. */
      closing: AbortSignal;
    },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { client, store, cursors, closing, batchOperations, uploadLimits } = deps;
  const batchDeps = { client, store, cachedProgress: createProgressCache(store) };

  await app.register(batchUploadRoute, { ...batchDeps, batchOperations, uploadLimits, prefix: '' });

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
        read: (page) => listBatches(deps, filter, page),
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
    '/:batchId/events',
    {
      handlerTimeout: UPLOAD_TIMEOUT_MS,
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
      await getBatch(batchDeps, batchId);
      // Closes the connection with the stream. Many streams end at shutdown, and a kept-alive connection would delay
      // the shutdown.
      return reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .header('connection', 'close')
        .send(
          Readable.from(streamBatchEvents(() => getBatch(batchDeps, batchId), abortOnClose(reply, closing))) as never,
        );
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
        problems: ['batch-running', 'nothing-to-retry'],
      }),
      schema: commandSchema,
    },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await retryBatch(batchDeps, params.batchId, callIdentity?.operationId)),
  );
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

/**
 * Returns a signal that aborts when `closing` aborts or when the client disconnects. A stream that sends no events
 * would not notice the disconnect.
 */
function abortOnClose({ raw }: FastifyReply, closing: AbortSignal): AbortSignal {
  const closed = new AbortController();
  const close = () => closed.abort();
  closing.addEventListener('abort', close);
  raw.once('close', () => {
    closing.removeEventListener('abort', close);
    close();
  });
  if (closing.aborted || raw.closed) close();
  return closed.signal;
}

const acceptsEvents = ({ headers }: FastifyRequest) =>
  /text\/event-stream|text\/\*|\*\/\*/.test(headers.accept ?? '*/*');
