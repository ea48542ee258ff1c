import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { batchAccepted, batchUploadQuery, CSV_DELIMITERS } from '../../../schemas/batch.js';
import type { AppDependencies } from '../../dependencies.js';
import {
  bodyTooLarge,
  httpProblem,
  invalidRequest,
  malformedRequest,
  unsupportedMediaType,
  type HttpProblem,
} from '../../problems/http-problem.js';
import { toKeyReusedProblem } from '../../plugins/idempotency.js';
import { UPLOAD_TIMEOUT_MS } from '../../limits.js';
import type { BatchDependencies } from '../read.js';
import { createBatch } from '../start.js';
import { decompress, gzipProblem } from './decompress.js';
import { enforceMinimumSpeed } from './minimum-speed.js';
import { parseItems, type ItemFormat } from './parse-items.js';

const FORMATS_BY_CONTENT_TYPE: Record<string, ItemFormat> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};

/** Maximum number of concurrent uploads to this process. Each upload holds a database connection until it ends. */
const MAX_CONCURRENT_UPLOADS = 4;

/** `x-gzip` is an older name of `gzip`. */
const GZIP_ENCODINGS = ['gzip', 'x-gzip'];

type UploadDependencies = BatchDependencies & Pick<AppDependencies, 'batchOperations' | 'uploadLimits'>;

/**
 * The upload route, the only route that reads its body as a stream. It accepts only CSV and newline-delimited JSON.
 */
export async function batchUploadRoute(instance: FastifyInstance, deps: UploadDependencies): Promise<void> {
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
            'If one line is invalid, nothing is stored. The body may be compressed (`Content-Encoding: gzip`); the size limit applies to the decompressed body. A repeated request with the same batch id returns the same batch. If the requests have no batch id, the same `Idempotency-Key` returns the same batch.',
          tag: 'Batches',
          access: ['operator'],
          dependencies: ['temporal', 'store'],
          problems: ['batch-id-taken', 'invalid-items', 'too-many-uploads'],
          idempotency: 'upload',
          headers: { location: 'The URL of the batch.' },
          acceptsGzip: true,
          rawBodies: {
            'application/x-ndjson': 'One JSON object per line. The operation defines its fields.',
            'text/csv':
              'One item per row. The header row names the fields; `price.value` names a nested field. `delimiter` sets the separator.',
          },
        },
      },
      schema: { querystring: batchUploadQuery, response: { 202: batchAccepted } },
    },
    async (request, reply) => {
      const { callIdentity, query, headers } = request;
      const batchId = query.batchId ?? callIdentity?.resourceId ?? randomUUID();
      if (!query.batchId) request.newResource = { path: '/v1/batches', idField: 'batchId', id: batchId };
      const upload = readUploadOptions(request, deps);
      if (Number(headers['content-length']) > upload.maxBytes) throw bodyTooLarge(upload.maxBytes);
      if (uploads >= MAX_CONCURRENT_UPLOADS) {
        const detail = `${MAX_CONCURRENT_UPLOADS} uploads are in progress, which is the maximum; retry later`;
        throw httpProblem('too-many-uploads', detail);
      }
      const { itemsPerChunk } = upload;
      uploads += 1;
      const stopSpeedCheck = enforceMinimumSpeed(request);
      const gzip = upload.isGzip ? decompress(request.body as Readable) : undefined;
      try {
        const items = parseItems(gzip?.decompressed ?? (request.body as Readable), upload);
        const batch = { batchId, operation: query.operation, itemsPerChunk };
        const { total, status } = await createBatch(deps, batch, items);
        return await reply.code(202).header('location', `/v1/batches/${batchId}`).send({ batchId, status, total });
      } catch (error) {
        // If the idempotency key has a stored response, `batch-id-taken` means that this upload differs from the first
        // upload with the key. This also holds if the caller chose the batch id.
        const isIdFromKey =
          callIdentity !== undefined &&
          (query.batchId === undefined || request.idempotencyClaim?.storedResponse !== undefined);
        throw toKeyReusedProblem(error, isIdFromKey) ?? abortedUploadProblem(request) ?? gzipProblem(error) ?? error;
      } finally {
        gzip?.close();
        stopSpeedCheck();
        uploads -= 1;
      }
    },
  );
}

/** Reads the upload options from the query and the headers. @throws 400, 415. */
function readUploadOptions(
  request: FastifyRequest<{ Querystring: z.infer<typeof batchUploadQuery> }>,
  { batchOperations, uploadLimits }: UploadDependencies,
) {
  const { query, headers } = request;
  const { delimiter } = query;
  const operation = batchOperations.get(query.operation);
  if (!operation) {
    const names = [...batchOperations.keys()].join(', ');
    throw invalidRequest([{ pointer: '/operation', detail: `must be one of ${names}` }]);
  }
  const contentType = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const format = FORMATS_BY_CONTENT_TYPE[contentType];
  const coding = (headers['content-encoding'] ?? 'identity').toLowerCase();
  if (!format || !['identity', ...GZIP_ENCODINGS].includes(coding)) throw unsupportedMediaType(request);
  if (delimiter && format !== 'csv')
    throw invalidRequest([{ pointer: '/delimiter', detail: 'is allowed only for text/csv' }]);
  return {
    format,
    isGzip: GZIP_ENCODINGS.includes(coding),
    schema: operation.itemSchema,
    itemsPerChunk: query.itemsPerChunk ?? operation.itemsPerChunk,
    delimiter: delimiter && CSV_DELIMITERS[delimiter],
    ...uploadLimits,
  };
}

/**
 * Maps a lost connection to a 400 instead of a 5xx, because no dependency of the API failed. The client no longer reads
 * the response.
 */
function abortedUploadProblem({ raw }: FastifyRequest): HttpProblem | undefined {
  return raw.readableAborted ? malformedRequest('the connection closed before the upload ended') : undefined;
}
