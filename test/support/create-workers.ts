import {
  createWorkers as createProductWorkers,
  type Workers,
  type WorkersOptions,
} from '../../src/temporal/workers.js';
import { withRequiredTypeScript } from './encryption.js';

/** Creates workers in the process of a test. */
export const createWorkers = (options: WorkersOptions): Promise<Workers> =>
  withRequiredTypeScript(() => createProductWorkers(options));
