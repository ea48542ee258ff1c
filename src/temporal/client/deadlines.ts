import type { Client } from '@temporalio/client';

const SERVER_DEADLINE_MS = 5_000;

/** A healthy worker responds within milliseconds. */
const WORKER_DEADLINE_MS = 8_000;

/** Limits a call that needs no worker to 5 seconds. @throws DEADLINE_EXCEEDED (gRPC) after 5 seconds. */
export async function withServerDeadline<T>(client: Client, run: () => Promise<T>): Promise<T> {
  return await client.withDeadline(Date.now() + SERVER_DEADLINE_MS, run);
}

/** Limits a query or update, which needs a worker, to 8 seconds. @throws DEADLINE_EXCEEDED (gRPC) after 8 seconds. */
export async function withWorkerDeadline<T>(client: Client, run: () => Promise<T>): Promise<T> {
  return await client.withDeadline(Date.now() + WORKER_DEADLINE_MS, run);
}
