import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { CSV_DELIMITERS, type BatchStatus, type batchUploadQuery } from '../../../schemas/batch.js';
import { UploadAbandonedError } from '../../../store/batches/uploads.js';
import type { AppDependencies } from '../../dependencies.js';
import { requestContextOf } from '../../http/request-context.js';
import { bodyTooLarge, invalidRequest, malformedRequest, HttpProblem } from '../../problems/http-problem.js';
import type { BatchDependencies } from '../read.js';
import { createBatch } from '../start.js';
import { gzipProblem, readBody } from './body.js';
import { enforceMinimumSpeed } from './minimum-speed.js';
import { parseItems, type ItemFormat } from './parse-items.js';
import { createUploadSlots } from './slots.js';

type UploadDependencies = BatchDependencies & Pick<AppDependencies, 'batchOperations' | 'batchUploadLimits'>;

export interface BatchUpload {
  batchId: string;
  options: Omit<z.infer<typeof batchUploadQuery>, 'batchId'>;
  format: ItemFormat;
  isGzip?: boolean;
  body: Readable;
  /** The texts of the problems of items. Defaults to the texts of the schema. */
  problemTexts?: z.core.$ZodErrorMap;
  /** The request that contains the body. Its caller and its speed are limited. */
  request: FastifyRequest;
}

/**
 * Creates the function that stores the items of an upload and starts their batch. All callers of the function share the
 * limits of concurrent uploads.
 *
 * @throws 400, 408, 409, 413, 422, or 503 `too-many-uploads`.
 */
export function createBatchUploader(deps: UploadDependencies) {
  const { batchUploadLimits } = deps;
  const takeSlot = createUploadSlots(batchUploadLimits);

  return async (upload: BatchUpload): Promise<{ total: number; status: BatchStatus }> => {
    const { batchId, format, isGzip = false, body, problemTexts, request } = upload;
    const options = parseOptionsOf(upload, deps);
    if (Number(request.headers['content-length']) > options.maxBytes) throw bodyTooLarge(options.maxBytes);
    const freeSlot = takeSlot(request.caller.id);
    const { content, fail, close } = readBody(body, { isGzip });
    const stopSpeedCheck = enforceMinimumSpeed(request, batchUploadLimits, fail);
    try {
      const items = parseItems(content, { ...options, format, problemTexts });
      const { operation } = upload.options;
      const { fairnessKey } = requestContextOf(request);
      const batch = { batchId, operation, itemsPerChunk: options.itemsPerChunk, fairnessKey };
      return await createBatch(deps, batch, items);
    } catch (error) {
      throw abortedUploadProblem(request) ?? abandonedUploadProblem(error) ?? gzipProblem(error) ?? error;
    } finally {
      stopSpeedCheck();
      close();
      freeSlot();
    }
  };
}

export type BatchUploader = ReturnType<typeof createBatchUploader>;

/** @throws 400 for an unknown operation, or for a delimiter with a format that has none. */
function parseOptionsOf({ options, format }: BatchUpload, { batchOperations, batchUploadLimits }: UploadDependencies) {
  const { maxBytes, maxLineLength } = batchUploadLimits;
  const { delimiter, itemsPerChunk } = options;
  const operation = batchOperations.get(options.operation);
  if (!operation) {
    const names = [...batchOperations.keys()].join(', ');
    throw invalidRequest([{ pointer: '/operation', detail: `must be one of ${names}` }]);
  }
  if (delimiter && format !== 'csv')
    throw invalidRequest([{ pointer: '/delimiter', detail: 'is allowed only for text/csv' }]);
  return {
    schema: operation.itemSchema,
    itemsPerChunk: itemsPerChunk ?? operation.itemsPerChunk,
    delimiter: delimiter && CSV_DELIMITERS[delimiter],
    maxBytes,
    maxLineLength,
  };
}

/**
 * Maps a lost connection to a 400 instead of a 5xx, because no dependency of the API failed. The client no longer reads
 * the response.
 */
function abortedUploadProblem({ raw }: FastifyRequest): HttpProblem | undefined {
  return raw.readableAborted ? malformedRequest('the connection closed before the upload ended') : undefined;
}

/** Maps the end of an upload whose items the `purge` workflow has deleted to a 408. */
function abandonedUploadProblem(error: unknown): HttpProblem | undefined {
  if (!(error instanceof UploadAbandonedError)) return undefined;
  const detail = 'the upload stored no items for 24 hours, so its items were deleted; send the upload again';
  return new HttpProblem('request-timeout', { detail, headers: { connection: 'close' } });
}
