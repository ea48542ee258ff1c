import type { Operations } from '../../../batch-operations/index.js';
import type { Store } from '../../../store/index.js';
import type { ShopClients } from '../../../temporal/client/approval-clients.js';

export interface CollectorContext extends ShopClients {
  store: Pick<
    Store,
    | 'countOrdersForOperators'
    | 'countUnreconciledOrders'
    | 'countOverdueApprovals'
    | 'countPendingApprovals'
    | 'readBatchIdleSeconds'
    | 'readBatchStats'
  >;
  operations: Operations;
}

/**
 * Reads one part of the business metrics. Must return complete results or throw. Must not settle while its calls to
 * Temporal are in progress, because the process may then close the connection.
 */
export type Collector = (context: CollectorContext) => Promise<GaugeFamily[]>;

/** A gauge, with one value for each combination of labels. */
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
