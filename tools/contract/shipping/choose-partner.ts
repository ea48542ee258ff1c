import { UsageError } from '../usage-error.js';
import { startPlainCarrierPartner } from './fake-partners.js';
import type { CarrierPartner } from './partner.js';

/** Starts the partner that the environment chooses, with the same variable as a worker. */
export async function chooseCarrierPartner({
  CARRIER = 'plain',
}: Readonly<Record<string, string | undefined>>): Promise<CarrierPartner> {
  if (CARRIER === 'plain') return await startPlainCarrierPartner();
  throw new UsageError(`CARRIER: must be plain, got "${CARRIER}" (example: CARRIER=plain)`);
}
