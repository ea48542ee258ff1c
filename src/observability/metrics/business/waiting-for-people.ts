import { unlabelledGauge, type CollectorContext, type GaugeFamily } from './collector.js';

export async function collectOrders({ store }: CollectorContext): Promise<GaugeFamily[]> {
  const { stuckCompensations: stuck, overdueDeliveries: overdue } = await store.countOrdersForOperators();
  return [
    unlabelledGauge('shop_compensations_stuck', 'Orders with a compensation that used up its attempts', stuck),
    unlabelledGauge(
      'shop_deliveries_overdue',
      'Orders whose delivery is overdue and waits for the decision of an operator',
      overdue,
    ),
  ];
}

export async function collectUnreconciledOrders({ store }: CollectorContext): Promise<GaugeFamily[]> {
  const count = await store.countUnreconciledOrders();
  return [
    unlabelledGauge(
      'shop_orders_unreconciled',
      'Orders that the reconciliation or the audit listed for a person',
      count,
    ),
  ];
}

export async function collectOverdueApprovals({ store }: CollectorContext): Promise<GaugeFamily[]> {
  const overdue = await store.countOverdueApprovals();
  return [unlabelledGauge('shop_approvals_overdue', 'Pending approvals whose first stage has expired', overdue)];
}
