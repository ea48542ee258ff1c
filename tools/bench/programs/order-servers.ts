import { Client } from '@temporalio/client';
import { openConnection } from '../../../src/temporal/connections.js';
import type { Settings } from '../../settings/settings.js';
import type { Stack, StackOptions } from '../../stack/stack.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { addBenchProduct } from '../load/orders.js';
import { startNoopWorker, type NoopWorker } from './noop.js';

/** A shop whose carrier delivers immediately, and the no-op worker, which is the baseline, on the same server. */
export interface OrderServers {
  stack: Stack;
  apiUrl: string;
  client: Client;
  noopWorker: NoopWorker;
}

/** Runs `measure` with a shop that sells the bench product. Stops all servers afterwards, also after a failure. */
export async function withOrderServers<T>(
  { settings = {}, options = {} }: { settings?: Partial<Settings>; options?: Partial<StackOptions> },
  measure: (servers: OrderServers) => Promise<T>,
): Promise<T> {
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, ...settings }, options);
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const stops = [() => stack.stop()];
  try {
    const noopWorker = await startNoopWorker(temporalAddress);
    stops.unshift(() => noopWorker.stop());
    const connection = await openConnection({ TEMPORAL_ADDRESS: temporalAddress });
    stops.unshift(() => connection.close());
    const client = new Client({ connection });
    await addBenchProduct(ownerDatabaseUrl);
    return await measure({ stack, apiUrl, client, noopWorker });
  } finally {
    for (const stop of stops) await stop();
  }
}
