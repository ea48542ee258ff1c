import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  batchAccepted,
  batchFailureList,
  batchId,
  batchList,
  batchResource,
  batchStatus,
  batchUpload,
} from '../../schemas/batch.js';
import { noQuery, pageQuery } from '../../schemas/page.js';
import type { AppDependencies } from '../app.js';
import {
  cancelBatch,
  createBatch,
  expectBatch,
  getBatch,
  listBatches,
  pauseBatch,
  resumeBatch,
  retryBatch,
  type BatchWorld,
} from '../batches.js';
import { batchEvents } from '../batch-events.js';
import { contract, type Contract } from '../contract.js';
import type { Cursors } from '../cursor.js';
import {
  bodyTooLarge,
  httpProblem,
  invalidRequest,
  malformedRequest,
  notAcceptable,
  unsupportedMediaType,
  type HttpProblem,
} from '../errors.js';
import { takenByName } from '../idempotency.js';
import { itemsOf, type ItemFormat } from '../items.js';
import { UPLOAD_TIMEOUT_MS } from '../limits.js';
import { createRecentTallies } from '../recent-tallies.js';
import type { FailurePlace } from '../../store/batches.js';

const params = z.strictObject({ batchId });
const noBody = z.strictObject({}).nullish();

const FORMATS: Record<string, ItemFormat> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};

/** Each upload holds a connection to the database until its end. */
const MAX_UPLOADS = 4;

/** Slower than this, over half a minute, is no upload. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const WATCH_EVERY_MS = 30_000;

/** Batches: upload, read, list, follow, steer. */
export async function batchRoutes(
  instance: FastifyInstance,
  deps: AppDependencies & { closing: AbortSignal },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { client, store, cursors } = deps;
  const world = { client, store, recentTally: createRecentTallies(store) };

  await app.register(uploadRoute, { ...deps, world, prefix: '' });

  app.get(
    '',
    {
      ...contract({
        operationId: 'listBatches',
        summary: 'List runs of batches, newest first',
        description:
          'From Temporal’s visibility: a new one appears within about a second. Each retry is a run of its own.',
        tag: 'Batches',
        access: ['operator'],
        needs: ['temporal'],
      }),
      schema: {
        querystring: pageQuery.extend({ status: batchStatus.exclude(['staged']).optional() }),
        response: { 200: batchList },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query;
      const { items, nextPlace } = await listBatches(client, filter, {
        limit,
        ...(cursor && { place: cursors.decode('batches', filter, cursor) }),
      });
      return { items, ...(nextPlace && { nextCursor: cursors.encode('batches', filter, nextPlace) }) };
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
      // Many streams end because we close: a connection that is kept after that would hold it up.
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
    ...{ operationId, summary, tag: 'Batches', access: ['operator'], needs: ['temporal', 'store'] },
    ...(problems && { problems }),
    idempotent: true,
  });

/** The one route whose body is a stream; what is not a list of items is refused by its content type. */
async function uploadRoute(
  instance: FastifyInstance,
  { world, ...deps }: AppDependencies & { world: BatchWorld },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(Object.keys(FORMATS), async (_request: FastifyRequest, payload: Readable) => payload);
  let uploads = 0;

  app.post(
    '',
    {
      handlerTimeout: UPLOAD_TIMEOUT_MS,
      config: {
        isUpload: true,
        contract: {
          operationId: 'uploadBatch',
          summary: 'Upload items and run an operation on each',
          description:
            'All or nothing: one line that is wrong, and nothing is stored. The batch id, or else the `Idempotency-Key`, makes a repetition the same batch.',
          tag: 'Batches',
          access: ['operator'],
          needs: ['temporal', 'store'],
          problems: ['batch-id-taken', 'invalid-items', 'too-many-uploads'],
          idempotent: 'upload',
          headers: { location: 'Where the batch is.' },
          bodies: {
            'application/x-ndjson': 'An item a line, as JSON; what an item is depends on the operation.',
            'text/csv': 'An item a row, under a row of names; `price.value` is a field within another.',
          },
        },
      },
      schema: { querystring: batchUpload, response: { 202: batchAccepted } },
    },
    async (request, reply) => {
      const { named } = request;
      const { operation: name, itemsPerTask: wanted } = request.query;
      const batchId = request.query.batchId ?? named?.resourceId ?? randomUUID();
      const operation = deps.operations.get(name);
      if (!operation) {
        const known = [...deps.operations.keys()].join(', ');
        throw invalidRequest([{ pointer: '/operation', detail: `must be one of ${known}` }]);
      }
      const contentType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
      const format = FORMATS[contentType];
      const encoding = request.headers['content-encoding'] ?? 'identity';
      if (!format || encoding !== 'identity') {
        throw unsupportedMediaType(`must be one of ${Object.keys(FORMATS).join(', ')}, and not compressed`);
      }
      const { maxBytes } = deps.uploadLimits;
      if (Number(request.headers['content-length']) > maxBytes) throw bodyTooLarge(maxBytes);
      if (uploads >= MAX_UPLOADS) throw httpProblem('too-many-uploads', `${MAX_UPLOADS} uploads are under way`);
      const itemsPerTask = wanted ?? operation.itemsPerTask;
      uploads += 1;
      const endWatch = cutWhenSlow(request);
      try {
        const items = itemsOf(request.body as Readable, {
          ...{ format, itemsPerTask, schema: operation.item },
          ...deps.uploadLimits,
        });
        const { total, status } = await createBatch(world, { batchId, operation: name, itemsPerTask }, items);
        return await reply.code(202).header('location', `/v1/batches/${batchId}`).send({ batchId, status, total });
      } catch (error) {
        // Repeated under its name, it is the content that is another one, whatever id it has.
        const isOfName = named && (request.query.batchId === undefined || request.claimed?.first !== undefined);
        throw takenByName(error, isOfName) ?? brokeOff(request) ?? error;
      } finally {
        endWatch();
        uploads -= 1;
      }
    },
  );
}

/** The connection is lost: nobody reads the answer, and nothing of ours is away. */
function brokeOff({ raw }: FastifyRequest): HttpProblem | undefined {
  if (!raw.readableAborted) return undefined;
  return malformedRequest('the upload broke off');
}

/** Aborts with `closing`, and when the client has gone, which a stream that has nothing to say would not notice. */
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

/** @throws 400 for a cursor that this list never gave. */
function placeIn(cursors: Cursors, batchId: string, cursor: string): FailurePlace {
  const [task, index] = cursors.decode('failures', { batchId }, cursor).toString().split('.');
  return { task: Number(task), index: Number(index) };
}

/**
 * Cuts the connection of an upload that hardly moves while we wait for it: it holds one of few places, and a transaction.
 *
 * @returns ends the watch.
 */
function cutWhenSlow({ raw }: FastifyRequest): () => void {
  const { socket } = raw;
  let read = socket.bytesRead;
  const timer = setInterval(() => {
    const isOurTurn = raw.complete || raw.readableLength >= raw.readableHighWaterMark;
    const isSlow = socket.bytesRead - read < (MIN_BYTES_PER_SECOND * WATCH_EVERY_MS) / 1000;
    if (isSlow && !isOurTurn) socket.destroy();
    read = socket.bytesRead;
  }, WATCH_EVERY_MS);
  return () => clearInterval(timer);
}

const acceptsEvents = ({ headers }: FastifyRequest) =>
  /text\/event-stream|text\/\*|\*\/\*/.test(headers.accept ?? '*/*');
