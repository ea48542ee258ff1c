import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { ReconcileInput } from '../../src/schemas/reconciliation.js';
import type { audit } from '../../src/workflows/housekeeping/audit.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { HOUSEKEEPING_TASK_QUEUE, type HousekeepingWorkflow } from '../../src/workflows/housekeeping/contract.js';
import type { reconcile } from '../../src/workflows/housekeeping/reconcile.js';
import type { Violation } from './audit/findings.js';

const WORKFLOWS: HousekeepingWorkflow[] = ['reconcile', 'audit', 'purge', 'report'];
const TRIGGER_INTERVAL_MS = 2_000;
const TRIGGER_DEADLINE_MS = 5_000;

export interface HousekeepingUnderFaults {
  /** Stops triggering. @returns the number of runs. */
  stop: () => Promise<number>;
}

/** Triggers the schedules every two seconds. A trigger that fails, for example while Temporal is down, is skipped. */
export function triggerHousekeeping(client: Client): HousekeepingUnderFaults {
  const stopping = new AbortController();
  async function triggerRepeatedly(): Promise<void> {
    while (!stopping.signal.aborted) {
      for (const workflow of WORKFLOWS) {
        const trigger = () => client.schedule.getHandle(workflow).trigger();
        await client.withDeadline(Date.now() + TRIGGER_DEADLINE_MS, trigger).catch(() => undefined);
      }
      await delay(TRIGGER_INTERVAL_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  const triggering = triggerRepeatedly();
  return {
    async stop() {
      stopping.abort();
      await triggering;
      const types = WORKFLOWS.map((workflow) => `'${workflow}'`).join(', ');
      return (await client.workflow.count(`WorkflowType in (${types})`)).count;
    },
  };
}

/**
 * Runs the reconciliation and the audit after all work has ended. The faults end no workflow without an outcome and
 * lose no charge, so both must find nothing.
 */
export async function checkHousekeeping(client: Client): Promise<Violation[]> {
  const options = { taskQueue: HOUSEKEEPING_TASK_QUEUE, workflowExecutionTimeout: '2 minutes' } as const;
  try {
    const reconciled = await client.workflow.execute<typeof reconcile>('reconcile', {
      ...options,
      workflowId: 'reconcile-after-faults',
      args: [undefined as ReconcileInput],
    });
    const audited = await client.workflow.execute<typeof audit>('audit', {
      ...options,
      workflowId: 'audit-after-faults',
    });
    return [
      ...reconciled.orders.map(({ orderId, result }) => ({
        workflowId: orderWorkflowId(orderId),
        message: `the reconciliation found the order: ${result}`,
      })),
      ...audited.findings.map(({ orderId, problem }) => ({
        workflowId: orderWorkflowId(orderId),
        message: `the shop's audit found: ${problem}`,
      })),
    ];
  } catch (error) {
    return [{ workflowId: '(housekeeping)', message: String(error) }];
  }
}
