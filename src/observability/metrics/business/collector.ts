import type { Client } from '@temporalio/client';
import type { Operations } from '../../../batch-operations/index.js';
import type { Store } from '../../../store/index.js';

export interface CollectorContext {
  client: Client;
  store: Pick<Store, 'readBatchStats'>;
  operations: Operations;
}

/**
 * Measures one part of the page. Must return complete results or throw. Must not settle before its calls to Temporal
 * have ended, because the process may then close the connection.
 */
export type Collector = (context: CollectorContext) => Promise<GaugeFamily[]>;

/** One gauge with its value for each combination of labels. */
export interface GaugeFamily {
  name: string;
  help: string;
  values: { labels: Record<string, string>; value: number }[];
}

export const unlabelledGauge = (name: string, help: string, value: number): GaugeFamily => ({
  name,
  help,
  values: [{ labels: {}, value }],
});

/** Counts open workflows. `query` contains only constants, so nothing needs escaping. */
export async function countOpenWorkflows(client: Client, query: string): Promise<number> {
  const { count } = await client.workflow.count(`${query} and ExecutionStatus = 'Running'`);
  return count;
}
