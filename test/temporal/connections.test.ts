import { setTimeout as delay } from 'node:timers/promises';
import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from '../../src/temporal/connections.js';
import { waitUntil } from '../support/processes.js';

/** The longest delay before the first retry of a call, with the jitter of the SDK. */
const FIRST_RETRY_DELAY_MS = 150;

let server: Server;
let port: number;
let calls: number;

/** Starts a server that accepts connections and returns UNAVAILABLE for each `DescribeNamespace`. */
beforeEach(async () => {
  calls = 0;
  server = new Server();
  const method = {
    path: '/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace',
    requestStream: false,
    responseStream: false,
    requestDeserialize: (bytes: Buffer) => bytes,
    requestSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
  };
  server.addService(
    { describeNamespace: method },
    {
      describeNamespace: (_call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) => {
        calls += 1;
        respond({ code: status.UNAVAILABLE, details: 'no history host' });
      },
    },
  );
  port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
});
afterEach(() => server.forceShutdown());

test('rejects a call that waits for a retry when its connection closes', async () => {
  const client = createClient({ TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_NAMESPACE: 'default' });
  const outcome = client.workflowService.describeNamespace({ namespace: 'default' }).catch((error: unknown) => error);
  await waitUntil(() => calls > 0 || undefined, { description: 'the first attempt', timeoutMs: 10_000 });
  await client.connection.close();

  expect(await Promise.race([outcome, delay(10 * FIRST_RETRY_DELAY_MS, 'no response')])).toMatchObject({
    code: status.CANCELLED,
    details: 'the connection to Temporal is closed',
  });
  expect(calls).toBe(1);
});
