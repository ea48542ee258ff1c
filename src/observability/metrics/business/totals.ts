import { ORDER_WORKFLOW_TYPE } from '../../../workflows/order/contract.js';
import { countOpenWorkflows } from '../../open-work.js';
import { unlabelledGauge, type CollectorContext, type GaugeFamily } from './collector.js';

const WORKFLOW_TYPES = [ORDER_WORKFLOW_TYPE, 'cart', 'approval', 'batch', 'batchShard'];

export async function collectWorkflows(clients: CollectorContext): Promise<GaugeFamily[]> {
  const values: GaugeFamily['values'] = [];
  // One after the other, because concurrent counts of a large visibility table slow down everything else that lists.
  for (const type of WORKFLOW_TYPES) {
    const value = await countOpenWorkflows(clients, type);
    values.push({ labels: { workflow_type: type }, value });
  }
  return [{ name: 'shop_workflows_running', help: 'Open workflows', values }];
}

export async function collectPendingApprovals({ store }: CollectorContext): Promise<GaugeFamily[]> {
  const pending = await store.countPendingApprovals();
  return [unlabelledGauge('shop_approvals_pending', 'Approvals without a decision', pending)];
}
