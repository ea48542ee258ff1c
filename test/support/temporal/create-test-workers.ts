import {
  createWorkers as createProductWorkers,
  type Workers,
  type WorkersOptions,
} from '../../../src/temporal/workers.js';
import { withTypeScriptRequire } from './encryption.js';

/** Creates workers in the test process. */
export const createTestWorkers = (options: WorkersOptions): Promise<Workers> =>
  withTypeScriptRequire(() => createProductWorkers(options));
