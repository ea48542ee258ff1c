import type { Client } from '@temporalio/client';
import {
  createTerminationScan,
  findLatestExecutions,
  isTerminatedOrTimedOut,
  type OpenWorkflow,
} from '../../temporal/client/closed-executions.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { toProblem } from '../problems/error-mapping.js';
import { describeWorkflow } from './describe-workflow.js';

/*
 * Workflow code records its end in the store, but does not run after a termination or a timeout. The store then still
 * shows the workflow as open. Lists read the store, so they correct it with the functions of this file.
 */

interface RowCorrection<Row> {
  /** The workflow of a row whose status in the store can be outdated; undefined for all other rows. */
  workflowOf: (row: Row) => OpenWorkflow | undefined;
  /**
   * Returns the corrected row. `execution` is the running or else the last closed execution; undefined if visibility
   * has none.
   */
  correct: (row: Row, execution: Execution | undefined) => Row | Promise<Row>;
}

/**
 * Compares the rows of a list with Temporal in one call. While Temporal is unavailable, returns the rows unchanged, so
 * that a list shows the content of the store.
 */
export async function correctRows<Row>(
  client: Client,
  rows: readonly Row[],
  { workflowOf, correct }: RowCorrection<Row>,
): Promise<Row[]> {
  const workflows = rows.map(workflowOf);
  const executions = await skipIfUnavailable(() =>
    findLatestExecutions(
      client,
      workflows.filter((workflow) => workflow !== undefined),
    ),
  );
  if (!executions) return [...rows];
  return await Promise.all(
    rows.map((row, index) => {
      const workflow = workflows[index];
      return workflow ? correct(row, executions.get(workflow.workflowId)) : row;
    }),
  );
}

interface TerminationRecord<Resource> {
  workflowType: string;
  workflowIdOf: (resource: Resource) => string;
  /** Returns the resources with these workflow ids that are open in the store. */
  filterOpen: (workflowIds: string[]) => Promise<Resource[]>;
  /** Closes a resource in the store. @returns false when the resource was already closed. */
  close: (resource: Resource, closedAt: Date) => Promise<boolean>;
}

interface TerminationRecorder<Resource> {
  /**
   * Records all terminations and timeouts since the previous call. A list that filters by status needs this, because
   * the store applies the filter.
   */
  recordAll: () => Promise<void>;
  /** @returns the time when the workflow was terminated or timed out; undefined if nothing was recorded. */
  recordOne: (resource: Resource) => Promise<Date | undefined>;
}

/** Records in the store that workflows of a type were terminated or timed out. */
export function createTerminationRecorder<Resource>(
  client: Client,
  { workflowType, workflowIdOf, filterOpen, close }: TerminationRecord<Resource>,
): TerminationRecorder<Resource> {
  const scanTerminated = createTerminationScan(client, workflowType);

  async function recordOne(resource: Resource): Promise<Date | undefined> {
    const newest = await describeWorkflow(client, { workflowId: workflowIdOf(resource) });
    // A reset also terminates a run, but continues the workflow in a new run.
    if (newest && !isTerminatedOrTimedOut(newest)) return undefined;
    const closedAt = newest?.closeTime ?? new Date();
    return (await close(resource, closedAt)) ? closedAt : undefined;
  }

  return {
    recordOne,
    async recordAll() {
      await scanTerminated(async (workflowIds) => {
        for (const resource of await filterOpen(workflowIds)) await recordOne(resource);
      });
    },
  };
}

/**
 * Runs calls to Temporal.
 *
 * @returns undefined when Temporal is unavailable or overloaded, or when a workflow of another type has the id.
 */
export async function skipIfUnavailable<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (toProblem(error).kind === 'internal-error') throw error;
    return undefined;
  }
}
