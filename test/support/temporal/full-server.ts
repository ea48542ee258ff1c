import { describe, inject } from 'vitest';
import { silentReporter } from '../../../tools/terminal/reporter.js';
import { startTemporaryCluster } from '../../../tools/servers/temporal/temporary-cluster.js';
import { connectToServer, type DevServer } from './dev-server.js';

/**
 * Like `describe`, for tests that need the full Temporal server. If its programs or the Temporal CLI are missing, the
 * tests are skipped and the title gives the reason.
 */
export function describeOnFullServer(title: string, define: () => void): void {
  const missing = [inject('temporalPrograms'), inject('temporalCli')].find((found) => 'missing' in found);
  if (missing && 'missing' in missing) describe.skip(`${title} (skipped: ${missing.missing})`, define);
  else describe(title, define);
}

/**
 * Starts the full Temporal server on PostgreSQL, with the settings of the deployment. In a run on a cluster, it creates
 * a namespace on the cluster instead.
 */
export async function startFullServer(): Promise<DevServer> {
  const shared = inject('clusterAddress');
  if (shared !== undefined) return await connectToServer(shared);
  const cluster = await startTemporaryCluster(silentReporter);
  return await connectToServer({ address: cluster.sharedServers.address, stop: () => cluster.stop() });
}
