import {
  ScheduleAlreadyRunning,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleOptions,
  type ScheduleSpec,
} from '@temporalio/client';
import { HOUSEKEEPING_TASK_QUEUE, type HousekeepingWorkflow } from '../workflows/housekeeping/contract.js';

/** When each housekeeping workflow runs. The jitter spreads the load of several shops on one server. */
const SPECS: Record<HousekeepingWorkflow, ScheduleSpec> = {
  reconcile: { intervals: [{ every: '1 hour' }], jitter: '5 minutes' },
  audit: { intervals: [{ every: '1 day', offset: '4 hours' }], jitter: '30 minutes' },
  report: { intervals: [{ every: '1 day', offset: '30 minutes' }], jitter: '15 minutes' },
  purge: { intervals: [{ every: '1 day', offset: '3 hours' }], jitter: '30 minutes' },
};

/**
 * Creates the schedules of the housekeeping workflows, or updates them to the current definition. A paused schedule
 * stays paused.
 *
 * @returns the ids of the new schedules.
 */
export async function ensureSchedules(client: Client): Promise<string[]> {
  const created: string[] = [];
  for (const [workflow, spec] of Object.entries(SPECS)) {
    const options = scheduleOf(workflow, spec);
    try {
      await client.schedule.create(options);
      created.push(workflow);
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await client.schedule.getHandle(workflow).update(({ state }) => ({ ...options, state }));
    }
  }
  return created;
}

const scheduleOf = (workflow: string, spec: ScheduleSpec) =>
  ({
    scheduleId: workflow,
    spec,
    policies: {
      // The next run continues the work, so a run that is late is not repeated.
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: '10 minutes',
    },
    action: {
      type: 'startWorkflow',
      workflowType: workflow,
      workflowId: workflow,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      workflowExecutionTimeout: '1 hour',
      staticSummary: 'Started by the schedule',
    },
  }) satisfies ScheduleOptions;
