import {
  createWorkers as createProductWorkers,
  type Workers,
  type WorkersOptions,
} from '../../../src/temporal/workers.js';
import { withTypeScriptRequire } from './encryption.js';

/** Creates workers in the process of a test. */
export const createTestWorkers = (options: WorkersOptions): Promise<Workers> =>
  withTypeScriptRequire(() => createProductWorkers(options));
