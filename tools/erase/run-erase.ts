import type { Client } from '@temporalio/client';
import type { EraseInput, EraseResult, PersonalDataCounts } from '../../src/schemas/erasure.js';
import { isOpen } from '../../src/temporal/client/closed-executions.js';
import { deleteClosedRun } from '../../src/temporal/client/delete-executions.js';
import { describeExecution } from '../../src/temporal/client/describe-execution.js';
import { iterateExecutions } from '../../src/temporal/client/visibility.js';
import { ERASE_WORKFLOW_TYPE, HOUSEKEEPING_TASK_QUEUE } from '../../src/workflows/housekeeping/contract.js';
import type { erase } from '../../src/workflows/housekeeping/erase.js';
import { connectToServer } from '../stack/connect-to-server.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';

export const usage = `Usage: npm run erase -- customer <id> [options]
Erases the personal data of a person in the database and in Temporal. Without --yes, only counts the data.

  --yes                  erase the data
  --address <host:port>  the Temporal server. Default: TEMPORAL_ADDRESS, else the running stack
  --namespace <name>     the namespace. Default: TEMPORAL_NAMESPACE, else that of the stack
  --help                 show this text

Exit code: 0 on success, 1 if open orders, carts or approvals block the erasure, 2 after an error`;

const exitCodes = { done: 0, blocked: 1, failed: 2 };

/** Ends a run that no worker processes. */
const WORKFLOW_TIMEOUT = '1 hour';

/** `npm run erase`: runs the workflow `erase` and prints its result. Returns the exit code. Never throws. */
export async function runErase(args: string[], context: CommandContext): Promise<number> {
  try {
    return await main(args, context);
  } catch (error) {
    printFailure(error, usage, context.printError);
    return exitCodes.failed;
  }
}

async function main(args: string[], context: CommandContext): Promise<number> {
  const { values: options, positionals } = parseArguments({
    args,
    allowPositionals: true,
    options: {
      yes: { type: 'boolean', default: false },
      address: { type: 'string' },
      namespace: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) {
    context.print(usage);
    return exitCodes.done;
  }
  const [kind, customerId, ...rest] = positionals;
  if (kind !== 'customer' || customerId === undefined || rest.length > 0)
    throw new UsageError('Name the person: npm run erase -- customer <id>');
  const client = await connectToServer({ address: options.address, namespace: options.namespace }, context);
  try {
    const result = await eraseOn(client, { customerId, dryRun: !options.yes });
    for (const line of describeResult(result)) context.print(line);
    return result.result === 'blocked' ? exitCodes.blocked : exitCodes.done;
  } finally {
    await client.connection.close();
  }
}

/**
 * Runs the workflow, and deletes its run, because the run contains the id. Also deletes the runs of earlier commands
 * that were interrupted. @throws when another run is open.
 */
async function eraseOn(client: Client, input: EraseInput): Promise<EraseResult> {
  const run = await client.workflow.start<typeof erase>(ERASE_WORKFLOW_TYPE, {
    workflowId: ERASE_WORKFLOW_TYPE,
    taskQueue: HOUSEKEEPING_TASK_QUEUE,
    workflowExecutionTimeout: WORKFLOW_TIMEOUT,
    args: [input],
  });
  const { workflowId, firstExecutionRunId: runId } = run;
  try {
    return await run.result();
  } finally {
    // Visibility shows the end of this run late.
    const description = await describeExecution(client, { workflowId, runId });
    if (description && !isOpen(description)) await deleteClosedRun(client, { workflowId, runId });
    for await (const earlier of iterateExecutions(client, `WorkflowType = '${ERASE_WORKFLOW_TYPE}'`)) {
      if (earlier.runId !== runId && !isOpen(earlier)) await deleteClosedRun(client, earlier);
    }
  }
}

function describeResult({ result, found, open, openCount }: EraseResult): string[] {
  const counts = describeCounts(found);
  if (result === 'blocked') {
    return [
      ...open.map(({ kind, id, problem }) => `${kind} ${id}: ${problem}`),
      ...(openCount > open.length ? [`and ${openCount - open.length} more`] : []),
      `No record was erased, because the work above is open. Found: ${counts}.`,
    ];
  }
  if (result === 'planned') return [`Found: ${counts}.`, 'Nothing was erased. To erase the data, add --yes.'];
  return [
    `Erased: ${counts}.`,
    'Temporal deletes the workflow runs within minutes. Backups, logs, mails and the systems of partners have their own retention.',
  ];
}

const describeCounts = ({ orders, carts, approvals, responses, workflowRuns }: PersonalDataCounts): string =>
  `${orders} orders, ${carts} carts, ${approvals} approvals, ${responses} stored responses, ${workflowRuns} closed workflow runs`;
