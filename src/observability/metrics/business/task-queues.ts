import { readTaskBacklogs } from '../../../temporal/monitoring.js';
import type { CollectorContext, GaugeFamily } from './collector.js';

export async function collectTaskQueues(clients: CollectorContext): Promise<GaugeFamily[]> {
  const backlogs = (await readTaskBacklogs(clients)).map(({ taskQueue, taskType, ...backlog }) => ({
    labels: { task_queue: taskQueue, task_type: taskType },
    ...backlog,
  }));
  return [
    {
      name: 'shop_task_queue_approximate_backlog',
      help: 'Tasks that no worker has taken yet',
      values: backlogs.map(({ labels, taskCount }) => ({ labels, value: taskCount })),
    },
    {
      name: 'shop_task_queue_approximate_backlog_age_seconds',
      help: 'How long the oldest task of the backlog has waited',
      values: backlogs.map(({ labels, ageSeconds }) => ({ labels, value: ageSeconds })),
    },
  ];
}
