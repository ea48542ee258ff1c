import { Context } from '@temporalio/activity';
import { Client } from '@temporalio/client';

/**
 * Returns a client for each namespace of the shop: the namespace of the activity, and the namespace of approvals if
 * they have their own.
 */
export function clientsOfShop(approvalNamespace: string | undefined): Client[] {
  const { client } = Context.current();
  if (approvalNamespace === undefined) return [client];
  const dataConverter = client.options.loadedDataConverter;
  return [client, new Client({ connection: client.connection, namespace: approvalNamespace, dataConverter })];
}
