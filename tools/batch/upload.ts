import { open, type FileHandle } from 'node:fs/promises';
import { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { batchResource } from '../../src/schemas/batch.js';
import { apiKeyHeaders } from '../stack/running-stack.js';
import type { BatchCommand } from './command-line.js';

const maxPrintedErrors = 10;
/** The API reports at most this many errors. */
const maxReportedErrors = 100;
const acceptedSchema = batchResource.pick({ batchId: true, status: true, total: true });
const problemSchema = z.object({
  title: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ line: z.int().optional(), pointer: z.string(), detail: z.string() })).default([]),
});

/**
 * Opens the file before the upload, so that an unreadable file is reported before the first request.
 *
 * @throws an Error with the reason why the file cannot be read.
 */
export async function openFile(path: string): Promise<FileHandle> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read: ${error.message}`);
  });
  if (!(await handle.stat()).isDirectory()) return handle;
  await handle.close();
  throw new Error(`${path} is a folder, not a file.`);
}

/**
 * Uploads the file as a stream. The API controls the speed, so memory use does not depend on the size of the file.
 *
 * @throws an Error with the API's reasons when the API rejects the upload.
 */
export async function uploadBatch(apiUrl: string, file: FileHandle, command: BatchCommand) {
  const { operation, batchId, itemsPerChunk, delimiter, contentType, isCompressed } = command;
  const query = new URLSearchParams({ operation, batchId });
  if (itemsPerChunk !== undefined) query.set('itemsPerChunk', String(itemsPerChunk));
  if (delimiter !== undefined) query.set('delimiter', delimiter);
  const response = await fetch(`${apiUrl}/v1/batches?${query.toString()}`, {
    method: 'POST',
    headers: {
      'content-type': contentType,
      ...(isCompressed && { 'content-encoding': 'gzip' }),
      ...apiKeyHeaders(),
    },
    body: ReadableStream.from(file.createReadStream()),
    duplex: 'half',
    // Without these two options, fetch buffers the whole body so that it can repeat the request.
    redirect: 'error',
    window: null,
  }).catch((error: unknown) => {
    throw new Error(`The upload to ${apiUrl} failed: ${describeFetchError(error)}\n${retryHint(command)}`);
  });
  if (response.status === 202) return acceptedSchema.parse(await response.json());
  const rejection = formatRejection(response.status, await response.text());
  throw new Error(response.status >= 500 ? `${rejection}\n${retryHint(command)}` : rejection);
}

/** Returns the reason why a request got no response, as far as `fetch` reports it. */
export function describeFetchError(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: reason } = (cause ?? {}) as NodeJS.ErrnoException;
  return reason || code || message;
}

/** Formats the response to a rejected upload: the reason and the first invalid lines. */
export function formatRejection(status: number, body: string): string {
  const { success, data } = problemSchema.safeParse(tryParseJson(body));
  if (!success) return `The API returned ${status}: ${body.slice(0, 200)}`;
  const { title, detail, errors } = data;
  const lines = errors
    .slice(0, maxPrintedErrors)
    .map(({ line, pointer, detail }) => `  ${[line && `line ${line}`, pointer].filter(Boolean).join(' ')}: ${detail}`);
  const more = errors.length - lines.length;
  // If an error has no line, `detail` only repeats the errors.
  const hasOwnDetail = errors.every(({ line }) => line !== undefined);
  return [
    `The API returned ${status}, ${title}${detail && hasOwnDetail ? `: ${detail}` : ''}`,
    ...lines,
    ...(more > 0 ? [`  … ${errors.length < maxReportedErrors ? '' : 'at least '}${more} more`] : []),
  ].join('\n');
}

function retryHint({ batchId }: BatchCommand): string {
  return `The same command with --id ${batchId} is safe to repeat: it does not start a second batch.`;
}

function tryParseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
