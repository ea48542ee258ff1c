import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { batchAccepted, batchUploadQuery, CSV_DELIMITERS } from '../../schemas/batch.js';
import type { AppDependencies } from '../app.js';
import { createBatch, type BatchDependencies } from './service.js';
import {
  bodyTooLarge,
  httpProblem,
  invalidRequest,
  malformedRequest,
  unsupportedMediaType,
  type HttpProblem,
} from '../problems/http-problem.js';
import { toKeyReusedProblem } from '../plugins/idempotency.js';
import { parseItems, type ItemFormat } from './parse-items.js';
import { UPLOAD_TIMEOUT_MS } from '../limits.js';

const FORMATS_BY_CONTENT_TYPE: Record<string, ItemFormat> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};

/** Maximum concurrent uploads of this process: each holds a database connection until its end. */
const MAX_CONCURRENT_UPLOADS = 4;

/** An upload that is slower than this over `WATCH_EVERY_MS` is cut. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SPEED_CHECK_INTERVAL_MS = 30_000;

/** The only route whose body is a stream. Rejects every content type that is not a list of items. */
export async function batchUploadRoute(
  instance: FastifyInstance,
  { batchDependencies, ...deps }: AppDependencies & { batchDependencies: BatchDependencies },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    Object.keys(FORMATS_BY_CONTENT_TYPE),
    async (_request: FastifyRequest, payload: Readable) => payload,
  );
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
            'All or nothing: one line that is wrong, and nothing is stored. The body may be compressed (`Content-Encoding: gzip`); the limit of bytes counts what it expands to. The batch id, or else the `Idempotency-Key`, makes a repetition the same batch.',
          tag: 'Batches',
          access: ['operator'],
          dependencies: ['temporal', 'store'],
          problems: ['batch-id-taken', 'invalid-items', 'too-many-uploads'],
          idempotency: 'upload',
          headers: { location: 'Where the batch is.' },
          acceptsGzip: true,
          rawBodies: {
            'application/x-ndjson': 'An item a line, as JSON; what an item is depends on the operation.',
            'text/csv':
              'An item a row, under a row of names; `price.value` is a field within another. `delimiter` says what separates the values.',
          },
        },
      },
      schema: { querystring: batchUploadQuery, response: { 202: batchAccepted } },
    },
    async (request, reply) => {
      const { callIdentity } = request;
      const { operation: name, delimiter, itemsPerChunk: wanted } = request.query;
      const batchId = request.query.batchId ?? callIdentity?.resourceId ?? randomUUID();
      if (!request.query.batchId) request.newResource = { path: '/v1/batches', idField: 'batchId', id: batchId };
      const operation = deps.batchOperations.get(name);
      if (!operation) {
        const known = [...deps.batchOperations.keys()].join(', ');
        throw invalidRequest([{ pointer: '/operation', detail: `must be one of ${known}` }]);
      }
      const contentType = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
      const format = FORMATS_BY_CONTENT_TYPE[contentType];
      const coding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
      if (!format || !['identity', ...GZIP_ENCODINGS].includes(coding)) throw unsupportedMediaType(request);
      if (delimiter && format !== 'csv')
        throw invalidRequest([{ pointer: '/delimiter', detail: 'is for text/csv alone' }]);
      const { maxBytes } = deps.uploadLimits;
      if (Number(request.headers['content-length']) > maxBytes) throw bodyTooLarge(maxBytes);
      if (uploads >= MAX_CONCURRENT_UPLOADS)
        throw httpProblem('too-many-uploads', `${MAX_CONCURRENT_UPLOADS} uploads are under way`);
      const itemsPerChunk = wanted ?? operation.itemsPerChunk;
      uploads += 1;
      const endWatch = enforceMinimumSpeed(request);
      const body = GZIP_ENCODINGS.includes(coding) ? decompress(request.body as Readable) : undefined;
      try {
        const items = parseItems(body?.decompressed ?? (request.body as Readable), {
          format,
          itemsPerChunk: itemsPerChunk,
          schema: operation.itemSchema,
          delimiter: delimiter && CSV_DELIMITERS[delimiter],
          ...deps.uploadLimits,
        });
        const { total, status } = await createBatch(
          batchDependencies,
          { batchId, operation: name, itemsPerChunk: itemsPerChunk },
          items,
        );
        return await reply.code(202).header('location', `/v1/batches/${batchId}`).send({ batchId, status, total });
      } catch (error) {
        // If a request with this idempotency key was answered before, a taken id means that this upload has another
        // content, even if the caller chose the id.
        const isIdFromKey =
          callIdentity !== undefined &&
          (request.query.batchId === undefined || request.idempotencyClaim?.storedResponse !== undefined);
        throw toKeyReusedProblem(error, isIdFromKey) ?? abortedUploadProblem(request) ?? gzipProblem(error) ?? error;
      } finally {
        body?.close();
        endWatch();
        uploads -= 1;
      }
    },
  );
}

/** `x-gzip` is an older name of the same coding. */
const GZIP_ENCODINGS = ['gzip', 'x-gzip'];

/**
 * Decompresses a body no faster than it is read, so that memory use stays small, however large the body becomes. The
 * compressed body is not destroyed, because its request may still need a response.
 */
function decompress(body: Readable): { decompressed: Readable; close: () => void } {
  const gunzip = createGunzip();
  // The reader gets the error even if it starts to read later. Without a listener, the error would end the process.
  gunzip.on('error', () => undefined);
  const fail = (error?: Error) => void gunzip.destroy(error ?? new Error('the body broke off'));
  const onClose = () => (body.readableEnded ? undefined : fail());
  body.once('error', fail).once('close', onClose).pipe(gunzip);
  return {
    decompressed: gunzip,
    close() {
      body.off('error', fail).off('close', onClose).unpipe(gunzip);
      gunzip.destroy();
    },
  };
}

/** Maps zlib errors, whose codes start with `Z_`, to a 400. */
function gzipProblem(error: unknown): HttpProblem | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code?.startsWith('Z_') ? malformedRequest('the body is not gzip, or it ends too early') : undefined;
}

/** Maps a lost connection to a 400, because no dependency of the API failed. Nobody reads the response. */
function abortedUploadProblem({ raw }: FastifyRequest): HttpProblem | undefined {
  if (!raw.readableAborted) return undefined;
  return malformedRequest('the upload broke off');
}

/**
 * Cuts the connection of an upload that is too slow while the server waits for its data, because the upload holds one
 * of few slots and a database transaction.
 *
 * @returns a function that ends the watch.
 */
function enforceMinimumSpeed({ raw }: FastifyRequest): () => void {
  const { socket } = raw;
  let read = socket.bytesRead;
  const timer = setInterval(() => {
    const isOurTurn = raw.complete || raw.readableLength >= raw.readableHighWaterMark;
    const isSlow = socket.bytesRead - read < (MIN_BYTES_PER_SECOND * SPEED_CHECK_INTERVAL_MS) / 1000;
    if (isSlow && !isOurTurn) socket.destroy();
    read = socket.bytesRead;
  }, SPEED_CHECK_INTERVAL_MS);
  return () => clearInterval(timer);
}
