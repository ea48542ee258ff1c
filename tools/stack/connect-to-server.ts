import type { Client } from '@temporalio/client';
import { loadConfig } from '../../src/config/read.js';
import { createClient } from '../../src/temporal/connections.js';
import type { CommandContext } from '../terminal/command.js';
import { findRunningStack } from './running-stack.js';

/** The options of a command that name a Temporal server. Undefined options come from the environment or the stack. */
export interface ServerAddress {
  address: string | undefined;
  namespace: string | undefined;
}

/**
 * Connects to the server of the options, the environment or the running stack. @throws when the server does not respond
 * or the namespace does not exist.
 */
export async function connectToServer(
  { address, namespace }: ServerAddress,
  caller: Pick<CommandContext, 'env' | 'print'>,
): Promise<Client> {
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE, ...env } = caller.env;
  const { PAYLOAD_ENCRYPTION_KEYS, PAYLOAD_ENCRYPTION_KEYS_FILE, APPROVAL_NAMESPACE } = env;
  const givenAddress = address ?? (TEMPORAL_ADDRESS || undefined);
  const inProfile = TEMPORAL_PROFILE || TEMPORAL_CONFIG_FILE;
  const stack = givenAddress === undefined && !inProfile ? await findRunningStack('/livez') : undefined;
  if (givenAddress === undefined && !inProfile && !stack)
    throw new Error('No server: set --address or TEMPORAL_ADDRESS, or start a stack with "npm start".');
  // The environment's other connection settings (TLS, an API key) apply only to the server in the environment, not to
  // the running stack.
  const config = loadConfig('replay', {
    ...(stack ? {} : { ...env, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE }),
    PAYLOAD_ENCRYPTION_KEYS,
    PAYLOAD_ENCRYPTION_KEYS_FILE,
    APPROVAL_NAMESPACE,
    TEMPORAL_ADDRESS: givenAddress ?? stack?.temporalAddress,
    TEMPORAL_NAMESPACE: namespace ?? (TEMPORAL_NAMESPACE || stack?.temporalNamespace),
  });
  const client = createClient(config);
  await client.connection.ensureConnected().catch((error: Error) => {
    throw new Error(`Temporal does not respond at ${config.TEMPORAL_ADDRESS}: ${error.message}`);
  });
  caller.print(`Temporal at ${config.TEMPORAL_ADDRESS}, namespace ${config.TEMPORAL_NAMESPACE}`);
  return client;
}
