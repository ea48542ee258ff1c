import { once } from 'node:events';
import { withOrderServers } from './order-servers.js';

/**
 * Runs the stack of this checkout for orders until SIGTERM. Prints one line of JSON with the addresses and process ids
 * that `benchChange` needs.
 */
const settings = { logLevel: 'warn' } as const;
await withOrderServers({ settings, options: { metrics: false } }, async ({ stack }) => {
  const pidOf = (name: 'worker' | 'api') => stack.processes.get(name)!.current.pid;
  const { temporalAddress } = stack.addresses;
  console.log(JSON.stringify({ temporalAddress, workerPid: pidOf('worker'), apiPid: pidOf('api') }));
  await once(process, 'SIGTERM');
});
process.exit(0);
