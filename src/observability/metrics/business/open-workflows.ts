import { waitForAll } from '../../../async/promises.js';
import { ORDER_WORKFLOW_TYPE } from '../../../workflows/order/contract.js';
import { countOpenWorkflows, unlabelledGauge, type CollectorContext, type GaugeFamily } from './collector.js';

const WORKFLOW_TYPES = [ORDER_WORKFLOW_TYPE, 'cart', 'approval', 'batch', 'batchShard'];

export async function collectWorkflows({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const values = WORKFLOW_TYPES.map(async (type) => ({
    labels: { workflow_type: type },
    value: await countOpenWorkflows(client, `WorkflowType = '${type}'`),
  }));
  return [{ name: 'shop_workflows_running', help: 'Open workflows', values: await waitForAll(values) }];
}

export async function collectOrders({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const inStatus = (status: string) => `WorkflowType = '${ORDER_WORKFLOW_TYPE}' and OrderStatus = '${status}'`;
  const [stuck, overdue] = await waitForAll([
    countOpenWorkflows(client, inStatus('compensation_stuck')),
    countOpenWorkflows(client, inStatus('delivery_overdue')),
  ]);
  return [
    unlabelledGauge('shop_compensations_stuck', 'Orders with a compensation that used up its attempts', stuck),
    unlabelledGauge(
      'shop_deliveries_overdue',
      'Orders whose delivery is overdue and waits for the decision of an operator',
      overdue,
    ),
  ];
}

export async function collectApprovals({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const isPending = `WorkflowType = 'approval' and ApprovalStatus = 'pending'`;
  const [pending, overdue] = await waitForAll([
    countOpenWorkflows(client, isPending),
    countOpenWorkflows(client, `${isPending} and ApprovalDueAt < '${new Date().toISOString()}'`),
  ]);
  return [
    unlabelledGauge('shop_approvals_pending', 'Approvals without a decision', pending),
    unlabelledGauge('shop_approvals_overdue', 'Pending approvals whose first stage has expired', overdue),
  ];
}
