import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { batchFailureList, batchId, batchList, batchResource, batchStatus } from '../../schemas/batch.js';
import { noQuery, pageQuery } from '../../schemas/page.js';
import type { AppDependencies } from '../app.js';
import { cancelBatch, expectBatch, getBatch, listBatches, pauseBatch, resumeBatch, retryBatch } from './service.js';
import { batchEvents } from './events.js';
import { contract, type Contract } from '../plugins/contract.js';
import { sealedPage, type Cursors } from '../plugins/cursor.js';
import { notAcceptable } from '../plugins/errors.js';
import { UPLOAD_TIMEOUT_MS } from '../plugins/limits.js';
import { createRecentTallies } from './recent-tallies.js';
import type { FailurePlace } from '../../store/batches.js';
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
  const world = { client, store, recentTally: createRecentTallies(store) };

  await app.register(batchUploadRoute, { ...deps, world, prefix: '' });

  app.get(
    '',
    {
      ...contract({
        operationId: 'listBatches',
        summary: 'List batches, the newest upload first',
        description: 'From the store, where each batch records its progress.',
        tag: 'Batches',
        access: ['operator'],
        needs: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ status: batchStatus.optional() }),
        response: { 200: batchList },
      },
    },
    async (request) => {
      const { limit: _limit, cursor: _cursor, ...filter } = request.query;
      return await sealedPage(cursors, 'batches', filter, request.query, (page) => listBatches(deps, filter, page));
    },
  );

  app.get(
    '/:batchId',
    {
      ...contract({
        operationId: 'getBatch',
        summary: 'A batch and how far it has come',
        description: 'Counted in the store just now; no worker is needed.',
        tag: 'Batches',
        access: ['operator'],
        needs: ['temporal', 'store'],
      }),
      schema: { params, querystring: noQuery, response: { 200: batchResource } },
    },
    async (request) => getBatch(world, request.params.batchId),
  );

  app.get(
    '/:batchId/failures',
    {
      ...contract({
        operationId: 'listBatchFailures',
        summary: 'The items that failed, with line and reason',
        tag: 'Batches',
        access: ['operator'],
        needs: ['store'],
      }),
      schema: { params, querystring: pageQuery, response: { 200: batchFailureList } },
    },
    async (request) => {
      const { batchId } = request.params;
      const { limit, cursor } = request.query;
      await expectBatch(world, batchId);
      const found = await store.listFailures(batchId, {
        limit,
        ...(cursor && { after: placeIn(cursors, batchId, cursor) }),
      });
      const last = found.length === limit ? found.at(-1) : undefined;
      return {
        items: found.map(({ place: _place, ...failure }) => failure),
        ...(last && { nextCursor: cursorTo(cursors, batchId, last.place) }),
      };
    },
  );

  app.get(
    '/:batchId/events',
    {
      handlerTimeout: UPLOAD_TIMEOUT_MS,
      ...contract({
        operationId: 'followBatch',
        summary: 'The batch as server-sent events',
        description: '`progress` with the batch as data whenever it has changed, at last `end`.',
        tag: 'Batches',
        access: ['operator'],
        needs: ['temporal', 'store'],
        problems: ['not-acceptable'],
      }),
      schema: {
        params,
        querystring: noQuery,
        response: { 200: { content: { 'text/event-stream': { schema: events } } } },
      },
    },
    async (request, reply) => {
      const { batchId } = request.params;
      if (!acceptsEvents(request)) throw notAcceptable('this is a stream of events: Accept: text/event-stream');
      await getBatch(world, batchId);
      // Many streams end because the process shuts down, and a connection that is kept alive would delay that.
      return reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .header('connection', 'close')
        .send(Readable.from(batchEvents(() => getBatch(world, batchId), untilClosed(reply, deps.closing))) as never);
    },
  );

  const steer = { schema: { params, querystring: noQuery, body: noBody, response: { 202: batchResource } } };
  app.post(
    '/:batchId/pause',
    { ...steering('pauseBatch', 'Begin nothing more until it is resumed', ENDED), ...steer },
    async ({ params, named }, reply) => reply.code(202).send(await pauseBatch(world, params.batchId, named?.requestId)),
  );
  app.post(
    '/:batchId/resume',
    { ...steering('resumeBatch', 'Go on; also while no worker is there', ENDED), ...steer },
    async ({ params, named }, reply) =>
      reply.code(202).send(await resumeBatch(world, params.batchId, named?.requestId)),
  );
  app.post(
    '/:batchId/cancel',
    { ...steering('cancelBatch', 'End it for good; what was done stays done', ENDED), ...steer },
    async ({ params }, reply) => reply.code(202).send(await cancelBatch(world, params.batchId)),
  );
  app.post(
    '/:batchId/retry',
    {
      ...steering('retryBatch', 'Do what has not succeeded once more', ['batch-running', 'nothing-to-retry']),
      ...steer,
    },
    async ({ params, named }, reply) => reply.code(202).send(await retryBatch(world, params.batchId, named?.requestId)),
  );
}

const events = z.string().describe('Server-sent events');

const ENDED = ['batch-ended', 'batch-not-started'] as const;

const steering = (operationId: string, summary: string, problems: Contract['problems']) =>
  contract({
    operationId,
    summary,
    tag: 'Batches',
    access: ['operator'],
    needs: ['temporal', 'store'],
    ...(problems && { problems }),
    idempotent: true,
  });

/**
 * A signal that aborts with `closing` and when the client disconnects. A stream without news would not notice the
 * disconnect by itself.
 */
function untilClosed({ raw }: FastifyReply, closing: AbortSignal): AbortSignal {
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

const cursorTo = (cursors: Cursors, batchId: string, { task, index }: FailurePlace) =>
  cursors.encode('failures', { batchId }, Buffer.from(`${task}.${index}`));

/** @throws 400 for a cursor that this list did not issue. */
function placeIn(cursors: Cursors, batchId: string, cursor: string): FailurePlace {
  const [task, index] = cursors.decode('failures', { batchId }, cursor).toString().split('.');
  return { task: Number(task), index: Number(index) };
}

const acceptsEvents = ({ headers }: FastifyRequest) =>
  /text\/event-stream|text\/\*|\*\/\*/.test(headers.accept ?? '*/*');
