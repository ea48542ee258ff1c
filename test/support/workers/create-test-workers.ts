import { register } from 'tsx/cjs/api';
import {
  createWorkers as createProductWorkers,
  type Workers,
  type WorkersOptions,
} from '../../../src/temporal/workers.js';

/**
 * Creates workers in the test process. In debug mode, workflows run in the main thread, because a thread per worker
 * takes nearly a second of CPU to start.
 */
export const createTestWorkers = (options: WorkersOptions): Promise<Workers> =>
  withTypeScriptRequire(() => createProductWorkers({ debugMode: true, ...options }));

/** Lets `require` load TypeScript while `run` runs. The SDK loads the converters of a worker with `require`. */
export async function withTypeScriptRequire<T>(run: () => Promise<T>): Promise<T> {
  const unregister = register();
  try {
    return await run();
  } finally {
    unregister();
  }
}
