import type { Carrier } from '../../activities/carrier.js';
import { createPlainCarrier } from '../../activities/external/carriers/plain.js';
import type { Config } from '../../config/read.js';

type CarrierName = Config<'worker'>['CARRIER'];

/** An adapter for each value of `CARRIER`. */
const ADAPTERS: Record<CarrierName, (config: Config<'worker'>) => Carrier> = {
  plain: ({ CARRIER_URL, CARRIER_KEY_RETENTION_HOURS }) =>
    createPlainCarrier({ url: CARRIER_URL, keyRetentionHours: CARRIER_KEY_RETENTION_HOURS }),
};

/** Creates the adapter that `CARRIER` names. */
export const createConfiguredCarrier = (config: Config<'worker'>): Carrier => ADAPTERS[config.CARRIER](config);
