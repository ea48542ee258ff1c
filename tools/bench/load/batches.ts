import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

interface BatchUpload {
  apiUrl: string;
  operation: string;
  /** The body, as newline-delimited JSON. */
  lines: string | Iterable<Buffer>;
  itemsPerChunk?: number | undefined;
  apiKey?: string;
}

/** Uploads a batch, which starts it. @returns the id of the batch. @throws when the API rejects the upload. */
export async function uploadBatch({ apiUrl, operation, lines, itemsPerChunk, apiKey }: BatchUpload): Promise<string> {
  const batchId = randomUUID();
  const query = new URLSearchParams({ operation, batchId });
  if (itemsPerChunk !== undefined) query.set('itemsPerChunk', String(itemsPerChunk));
  const isText = typeof lines === 'string';
  const response = await fetch(`${apiUrl}/v1/batches?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', ...(apiKey !== undefined && { 'x-api-key': apiKey }) },
    body: isText ? lines : Readable.toWeb(Readable.from(lines)),
    ...(!isText && { duplex: 'half' }),
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return batchId;
}
