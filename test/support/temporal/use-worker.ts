import type { Worker } from '@temporalio/worker';
import type { TemporalServer } from '../shop/shop.js';
import { beforeAllAndRetries } from './before-all-and-retries.js';

/** Starts a server and a worker before the tests of the surrounding `describe`. Stops both after the tests. */
export function useWorker(
  startServer: () => Promise<TemporalServer>,
  createWorker: (server: TemporalServer) => Promise<Worker>,
) {
  let server: TemporalServer;
  let worker: Worker | undefined;
  let running: Promise<void> | undefined;

  async function startWorker(): Promise<void> {
    worker = await createWorker(server);
    running = worker.run();
  }
  async function stopWorker(): Promise<void> {
    worker?.shutdown();
    await running;
    worker = undefined;
  }

  beforeAllAndRetries(async () => {
    server = await startServer();
    await startWorker();
    return async () => {
      await stopWorker();
      await server.close();
    };
  });

  return {
    get server() {
      return server;
    },
    startWorker,
    stopWorker,
  };
}
