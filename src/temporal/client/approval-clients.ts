import type { Client } from '@temporalio/client';

/** The clients of the namespaces of the shop. */
export interface ShopClients {
  client: Client;
  /** The client for the namespace of approvals, if approvals have a namespace of their own. */
  approvalClient?: Client | undefined;
}

/**
 * Returns a client for each namespace that can have approvals, beginning with the namespace of new approvals. The
 * namespace of the shop has the approvals that were requested before approvals had a namespace of their own.
 */
export const approvalClientsOf = ({ client, approvalClient }: ShopClients): [Client, ...Client[]] =>
  approvalClient ? [approvalClient, client] : [client];
