import type { Carrier } from '../../../src/activities/carrier.js';
import { createPlainCarrier } from '../../../src/activities/external/carriers/plain.js';
import type { RunningFakes } from '../fakes/running-fakes.js';

/** Creates the plain adapter to the fake carrier. The fakes keep idempotency keys for 24 hours. */
export function createTestCarrier({ carrierUrl }: Pick<RunningFakes, 'carrierUrl'>): Carrier {
  return createPlainCarrier({ url: carrierUrl, keyRetentionHours: 24 });
}
