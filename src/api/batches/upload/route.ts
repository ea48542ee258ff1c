import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { batchAccepted, batchUploadQuery } from '../../../schemas/batch.js';
import { unsupportedMediaType } from '../../problems/http-problem.js';
import { toKeyReusedProblem } from '../../plugins/idempotency.js';
import { UPLOAD_TIMEOUT_MS } from '../../limits.js';
import type { ItemFormat } from './parse-items.js';
import type { BatchUploader } from './service.js';

const FORMATS_BY_CONTENT_TYPE: Record<string, ItemFormat> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};

/** `x-gzip` is an older name of `gzip`. */
const GZIP_ENCODINGS = ['gzip', 'x-gzip'];

/**
 * The upload route, the only route that reads its body as a stream. It accepts only CSV and newline-delimited JSON.
 */
export async function batchUploadRoute(
  instance: FastifyInstance,
  { uploadBatch }: { uploadBatch: BatchUploader },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    Object.keys(FORMATS_BY_CONTENT_TYPE),
    async (_request: FastifyRequest, payload: Readable) => payload,
  );

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
      const { callIdentity, query } = request;
      const batchId = query.batchId ?? callIdentity?.resourceId ?? randomUUID();
      if (!query.batchId) request.newResource = { path: '/v1/batches', idField: 'batchId', id: batchId };
      const { format, isGzip } = readMediaType(request);
      const body = request.body as Readable;
      try {
        const { total, status } = await uploadBatch({ batchId, options: query, format, isGzip, body, request });
        return await reply.code(202).header('location', `/v1/batches/${batchId}`).send({ batchId, status, total });
      } catch (error) {
        // If the idempotency key has a stored response, `batch-id-taken` means that this upload differs from the first
        // upload with the key. This also holds if the caller chose the batch id.
        const isIdFromKey =
          callIdentity !== undefined &&
          (query.batchId === undefined || request.idempotencyClaim?.storedResponse !== undefined);
        throw toKeyReusedProblem(error, isIdFromKey) ?? error;
      }
    },
  );
}

/** @throws 415. */
function readMediaType(request: FastifyRequest): { format: ItemFormat; isGzip: boolean } {
  const { headers } = request;
  const contentType = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  const format = FORMATS_BY_CONTENT_TYPE[contentType];
  const coding = (headers['content-encoding'] ?? 'identity').toLowerCase();
  if (!format || !['identity', ...GZIP_ENCODINGS].includes(coding)) throw unsupportedMediaType(request);
  return { format, isGzip: GZIP_ENCODINGS.includes(coding) };
}
