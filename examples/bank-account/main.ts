import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { buildApi } from './api.js';
import { AccountService } from './service.js';
import { createAccountWorker } from './worker.js';

/** Runs the HTTP API and a worker in one process: `node tools/run.mjs examples/bank-account/main.ts` */
const { TEMPORAL_ADDRESS: address = '127.0.0.1:7233', PORT: port = '3100' } = process.env;

const connection = await NativeConnection.connect({ address });
const worker = await createAccountWorker(connection);
const api = buildApi(new AccountService(new Client({ connection })));
console.log(`The API of the accounts listens on ${await api.listen({ port: Number(port) })}`);

// The SDK shuts the worker down on SIGINT and SIGTERM.
await worker.run();
await api.close();
await connection.close();
