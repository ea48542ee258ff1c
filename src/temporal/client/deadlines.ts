import type { Client } from '@temporalio/client';

const SERVER_DEADLINE_MS = 5_000;

/** A healthy worker answers within milliseconds. */
const WORKER_DEADLINE_MS = 8_000;

/** Limits calls that the server answers without a worker to 5 seconds. @throws DEADLINE_EXCEEDED (gRPC) after it. */
export async function withServerDeadline<T>(client: Client, run: () => Promise<T>): Promise<T> {
  return await client.withDeadline(Date.now() + SERVER_DEADLINE_MS, run);
}

/** Limits a query or update, which a worker must answer, to 8 seconds. @throws DEADLINE_EXCEEDED (gRPC) after it. */
export async function withWorkerDeadline<T>(client: Client, run: () => Promise<T>): Promise<T> {
  return await client.withDeadline(Date.now() + WORKER_DEADLINE_MS, run);
}
