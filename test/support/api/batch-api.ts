import { randomUUID } from 'node:crypto';
import { request as httpRequest, type Agent, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { BatchResource } from '../../../src/schemas/batch.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { waitUntil } from '../processes.js';
import { createMany } from '../create-many.js';
import { makeItems, stageTestBatch, TestOperations } from '../shop/batches.js';
import { addProduct, readStock, startShop, type Shop } from '../shop/shop.js';
import { startDevServer, type DevServer } from '../temporal/dev-server.js';
import { startApi, type Api, type ApiResponse } from './api.js';

/** The possible response bodies for a batch: the batch, or a problem document. */
export type BatchBody = BatchResource & Omit<Problem, 'status'>;

export const NDJSON = 'application/x-ndjson';
/** Serializes the items as NDJSON, one item per line. */
export const ndjson = (items: unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');
export interface Upload {
  text: string;
  type?: string;
  query?: Record<string, string>;
}

/** Returns the upload path. The default operation is `restock`. */
export const uploadPath = (query: Record<string, string> = {}) =>
  `/v1/batches?${new URLSearchParams({ operation: 'restock', ...query }).toString()}`;

/** Uploads a file in one request. */
export const upload = (api: Api, { text, type = NDJSON, query }: Upload): Promise<ApiResponse<BatchBody>> =>
  api.request<BatchBody>('POST', uploadPath(query), { text, headers: { 'content-type': type } });

interface RawResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: BatchBody;
}

/** Opens a request. The test sends the body in parts. */
export function openRequest(
  api: Api,
  path: string,
  { headers = { 'content-type': NDJSON }, agent }: { headers?: Record<string, string>; agent?: Agent } = {},
): { request: ClientRequest; response: Promise<RawResponse> } {
  const request = httpRequest(api.url + path, { method: 'POST', headers, timeout: 20_000, agent: agent ?? false });
  request.on('timeout', () => request.destroy(new Error('no response')));
  const received = new Promise<RawResponse>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: JSON.parse(text) as BatchBody }),
      );
    });
  });
  received.catch(() => undefined);
  request.flushHeaders();
  return { request, response: received };
}

interface ServerEvent {
  event: string;
  data: BatchResource;
}

/** Opens the server-sent event stream of a batch, as a browser does. */
export async function openEventStream({ url }: Pick<Api, 'url'>, batchId: string) {
  const response = await fetch(`${url}/v1/batches/${batchId}/events`, {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.timeout(30_000),
  });
  const text = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  return {
    response,
    /** Returns the next event, or undefined at the end of the stream. */
    async next(): Promise<ServerEvent | undefined> {
      for (;;) {
        const end = held.indexOf('\n\n');
        if (end < 0) {
          const { value, done } = await text.read();
          if (done) return undefined;
          held += value;
          continue;
        }
        const fields = new Map(
          held
            .slice(0, end)
            .split('\n')
            .map((line) => line.split(/: (.*)/s) as [string, string]),
        );
        held = held.slice(end + 2);
        const [event, data] = [fields.get('event'), fields.get('data')];
        if (event && data) return { event, data: JSON.parse(data) as BatchResource };
      }
    },
    /** Returns all remaining events. */
    async rest(): Promise<ServerEvent[]> {
      const events = [];
      for (let event = await this.next(); event; event = await this.next()) events.push(event);
      return events;
    },
  };
}
/** The batch API on a dev server, with a batch worker. `tests` contains the operations that a test controls. */
export class BatchApi {
  server!: DevServer;
  shop!: Shop;
  api!: Api;
  readonly tests = new TestOperations();

  readonly get = (batchId: string) => this.api.get<BatchBody>(`/v1/batches/${batchId}`);

  /** Sends the command `pause`, `resume`, `cancel` or `retry` to a batch. */
  readonly sendCommand = (batchId: string, command: string) =>
    this.api.post<BatchBody>(`/v1/batches/${batchId}/${command}`);

  readonly stockOf = (sku: string) => readStock(this.shop.store, sku);

  /** Polls the batch until `isExpected` returns true. @throws after 20 seconds; the error contains the last batch. */
  readonly waitForBatch = async (
    batchId: string,
    isExpected: (batch: BatchResource) => boolean,
    description: string,
  ): Promise<BatchBody> => {
    let last: unknown;
    const poll = async () => {
      const { status, body } = await this.get(batchId);
      last = body;
      return status === 200 && isExpected(body) ? body : undefined;
    };
    return await waitUntil(poll, { description: `batch ${batchId}: ${description}`, timeoutMs: 20_000 }).catch(
      (error: unknown) => {
        throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(last)}`);
      },
    );
  };

  readonly waitForStatus = (batchId: string, status: BatchResource['status']) =>
    this.waitForBatch(batchId, (batch) => batch.status === status, status);

  /** Starts a batch of the operation `call`. Its calls block until the test unblocks them. */
  readonly startBlockedBatch = async (count = 4): Promise<string> => {
    this.tests.blockCalls();
    const batchId = await stageTestBatch(this.shop.store, {
      operation: 'call',
      items: makeItems(count, randomUUID()),
      itemsPerChunk: 2,
    });
    expect((await this.sendCommand(batchId, 'retry')).status).toBe(202);
    await this.waitForBatch(batchId, ({ status, attempt }) => status === 'running' && attempt === 1, 'running');
    return batchId;
  };

  /** Runs a batch in which the first `failing` items fail, and waits until the batch is closed. */
  readonly runBatchWithFailures = async (failing: number, count = failing + 1): Promise<string> => {
    const { sku } = await addProduct(this.shop.store);
    const items = createMany(count, (n) => ({ sku: n < failing ? 'NOT-THERE' : sku, quantity: 1 }));
    const { status, body } = await upload(this.api, { text: ndjson(items), query: { itemsPerChunk: '3' } });
    expect(status).toBe(202);
    await this.waitForStatus(body.batchId, failing > 0 ? 'completed_with_failures' : 'completed');
    return body.batchId;
  };
}

/** Registers the hooks that start and close the batch API of a test file. Tests can use it after `beforeAll`. */
export function useBatchApi(): BatchApi {
  const batchApi = new BatchApi();
  beforeAll(async () => {
    batchApi.server = await startDevServer();
    batchApi.shop = await startShop(batchApi.server, { queues: ['batches'], operations: batchApi.tests.operations });
    batchApi.api = await startApi(batchApi.shop);
  });
  afterEach(() => {
    batchApi.tests.unblockCalls();
    batchApi.tests.clearFailures();
  });
  afterAll(async () => {
    await batchApi.api?.close();
    await batchApi.shop?.close();
  });
  return batchApi;
}
