import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { batchFailureList, batchId, batchList, batchResource, batchStatus } from '../../schemas/batch.js';
import { emptyQuery, pageQuery } from '../../schemas/shared/page.js';
import type { AppDependencies } from '../app.js';
import {
  cancelBatch,
  assertBatchExists,
  getBatch,
  listBatches,
  pauseBatch,
  resumeBatch,
  retryBatch,
} from './service.js';
import { streamBatchEvents } from './event-stream.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { readPageWithCursor, type Cursors } from '../http/cursors.js';
import { notAcceptable } from '../problems/http-problem.js';
import { UPLOAD_TIMEOUT_MS } from '../limits.js';
import { createProgressCache } from './progress-cache.js';
import type { FailurePosition } from '../../store/batches/failed-items.js';
import { batchUploadRoute } from './upload.js';

const params = z.strictObject({ batchId });
const noBody = z.strictObject({}).nullish();

/** Routes of batches: upload, read, list, follow, pause, resume, cancel, retry. */
export async function batchRoutes(
  instance: FastifyInstance,
  deps: AppDependencies & { closing: AbortSignal },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { client, store, cursors } = deps;
  const dependencies = { client, store, cachedProgress: createProgressCache(store) };

  await app.register(batchUploadRoute, { ...deps, batchDependencies: dependencies, prefix: '' });

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listBatches',
        summary: 'List batches, the newest upload first',
        description: 'From the store, where each batch records its progress.',
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
      return await readPageWithCursor(cursors, 'batches', filter, request.query, (page) =>
        listBatches(deps, filter, page),
      );
    },
  );

  app.get(
    '/:batchId',
    {
      ...withContract({
        operationId: 'getBatch',
        summary: 'A batch and how far it has come',
        description: 'Counted in the store just now; no worker is needed.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['temporal', 'store'],
      }),
      schema: { params, querystring: emptyQuery, response: { 200: batchResource } },
    },
    async (request) => getBatch(dependencies, request.params.batchId),
  );

  app.get(
    '/:batchId/failures',
    {
      ...withContract({
        operationId: 'listBatchFailures',
        summary: 'The items that failed, with line and reason',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['store'],
      }),
      schema: { params, querystring: pageQuery, response: { 200: batchFailureList } },
    },
    async (request) => {
      const { batchId } = request.params;
      const { limit, cursor } = request.query;
      await assertBatchExists(dependencies, batchId);
      const found = await store.listBatchFailures(batchId, {
        limit,
        ...(cursor && { after: decodeFailureCursor(cursors, batchId, cursor) }),
      });
      const last = found.length === limit ? found.at(-1) : undefined;
      return {
        items: found.map(({ position: _place, ...failure }) => failure),
        ...(last && { nextCursor: encodeFailureCursor(cursors, batchId, last.position) }),
      };
    },
  );

  app.get(
    '/:batchId/events',
    {
      handlerTimeout: UPLOAD_TIMEOUT_MS,
      ...withContract({
        operationId: 'followBatch',
        summary: 'The batch as server-sent events',
        description: '`progress` with the batch as data whenever it has changed, at last `end`.',
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
      if (!acceptsEvents(request)) throw notAcceptable('this is a stream of events: Accept: text/event-stream');
      await getBatch(dependencies, batchId);
      // Many streams end because the process shuts down, and a connection that is kept alive would delay that.
      return reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .header('connection', 'close')
        .send(
          Readable.from(
            streamBatchEvents(() => getBatch(dependencies, batchId), abortOnClose(reply, deps.closing)),
          ) as never,
        );
    },
  );

  const steer = { schema: { params, querystring: emptyQuery, body: noBody, response: { 202: batchResource } } };
  app.post(
    '/:batchId/pause',
    { ...commandContract('pauseBatch', 'Begin nothing more until it is resumed', NOT_OPEN_PROBLEMS), ...steer },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await pauseBatch(dependencies, params.batchId, callIdentity?.operationId)),
  );
  app.post(
    '/:batchId/resume',
    { ...commandContract('resumeBatch', 'Go on; also while no worker is there', NOT_OPEN_PROBLEMS), ...steer },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await resumeBatch(dependencies, params.batchId, callIdentity?.operationId)),
  );
  app.post(
    '/:batchId/cancel',
    { ...commandContract('cancelBatch', 'End it for good; what was done stays done', NOT_OPEN_PROBLEMS), ...steer },
    async ({ params }, reply) => reply.code(202).send(await cancelBatch(dependencies, params.batchId)),
  );
  app.post(
    '/:batchId/retry',
    {
      ...commandContract('retryBatch', 'Do what has not succeeded once more', ['batch-running', 'nothing-to-retry']),
      ...steer,
    },
    async ({ params, callIdentity }, reply) =>
      reply.code(202).send(await retryBatch(dependencies, params.batchId, callIdentity?.operationId)),
  );
}

const eventStreamSchema = z.string().describe('Server-sent events');

const NOT_OPEN_PROBLEMS = ['batch-closed', 'batch-not-started'] as const;

const commandContract = (operationId: string, summary: string, problems: RouteContract['problems']) =>
  withContract({
    operationId,
    summary,
    tag: 'Batches',
    access: ['operator'],
    dependencies: ['temporal', 'store'],
    ...(problems && { problems }),
    idempotency: true,
  });

/**
 * A signal that aborts with `closing` and when the client disconnects. A stream without news would not notice the
 * disconnect by itself.
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

const encodeFailureCursor = (cursors: Cursors, batchId: string, { chunkIndex, itemIndex }: FailurePosition) =>
  cursors.encode('failures', { batchId }, Buffer.from(`${chunkIndex}.${itemIndex}`));

/** @throws 400 for a cursor that this list did not issue. */
function decodeFailureCursor(cursors: Cursors, batchId: string, cursor: string): FailurePosition {
  const [task, index] = cursors.decode('failures', { batchId }, cursor).toString().split('.');
  return { chunkIndex: Number(task), itemIndex: Number(index) };
}

const acceptsEvents = ({ headers }: FastifyRequest) =>
  /text\/event-stream|text\/\*|\*\/\*/.test(headers.accept ?? '*/*');
