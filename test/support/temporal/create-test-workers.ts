import {
  createWorkers as createProductWorkers,
  type Workers,
  type WorkersOptions,
} from '../../../src/temporal/workers.js';
import { withTypeScriptRequire } from './encryption.js';

/**
 * Creates workers in the test process. In debug mode, workflows run in the main thread, because a thread per worker
 * takes nearly a second of CPU to start.
 */
export const createTestWorkers = (options: WorkersOptions): Promise<Workers> =>
  withTypeScriptRequire(() => createProductWorkers({ debugMode: true, ...options }));
