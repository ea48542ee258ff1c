import type { Client } from '@temporalio/client';
import type {
  ClosingAction,
  ReconciledOrder,
  ReconcileInput,
  ReconcileResult,
} from '../../src/schemas/reconciliation.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../src/workflows/housekeeping/contract.js';
import type { reconcile } from '../../src/workflows/housekeeping/reconcile.js';
import { connectToServer } from '../stack/connect-to-server.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';

export const usage = `Usage: npm run reconcile -- [options]
Rolls back orders whose workflow ended without recording an outcome, as the schedule "reconcile" does hourly.

  --dry-run              only list the orders
  --include-missing      also roll back orders whose workflow is missing in Temporal
  --close <order id>     only close this order, whose parcel has left, with the outcome that the carrier reports
  --as <action>          with --close: delivered or write_off, if the carrier has no final report
  --address <host:port>  the Temporal server. Default: TEMPORAL_ADDRESS, else the running stack
  --namespace <name>     the namespace. Default: TEMPORAL_NAMESPACE, else that of the stack
  --help                 show this text

Exit code: 0 if no order needs a person, 1 if an order does, 2 after an error`;

const exitCodes = { done: 0, needsPerson: 1, failed: 2 };

type OrderToClose = NonNullable<NonNullable<ReconcileInput>['close']>;

/** Ends a run that no worker processes. */
const WORKFLOW_TIMEOUT = '1 hour';

/** `npm run reconcile`: runs the workflow `reconcile` and prints its result. Returns the exit code. Never throws. */
export async function runReconcile(args: string[], context: CommandContext): Promise<number> {
  try {
    return await main(args, context);
  } catch (error) {
    printFailure(error, usage, context.printError);
    return exitCodes.failed;
  }
}

async function main(args: string[], context: CommandContext): Promise<number> {
  const { values: options } = parseArguments({
    args,
    options: {
      'dry-run': { type: 'boolean', default: false },
      'include-missing': { type: 'boolean', default: false },
      close: { type: 'string' },
      as: { type: 'string' },
      address: { type: 'string' },
      namespace: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) {
    context.print(usage);
    return exitCodes.done;
  }
  const close = closeOf(options);
  const client = await connectToServer({ address: options.address, namespace: options.namespace }, context);
  try {
    const result = await reconcileOn(client, {
      dryRun: options['dry-run'],
      ...(close ? { close } : { includeMissing: options['include-missing'] }),
    });
    for (const order of result.orders) context.print(formatOrder(order));
    context.print(formatSummary(result));
    if (!close)
      context.print(
        'Orders that changed in the last minutes (RECONCILE_AFTER_MINUTES of the worker) are not compared.',
      );
    return result.orders.some(({ result }) => result === 'needs_person') ? exitCodes.needsPerson : exitCodes.done;
  } finally {
    await client.connection.close();
  }
}

/** @throws UsageError for options that do not fit together. */
function closeOf(options: {
  close?: string | undefined;
  as?: string | undefined;
  'include-missing': boolean;
}): OrderToClose | undefined {
  const { close: orderId, as } = options;
  if (orderId === undefined) {
    if (as !== undefined) throw new UsageError('--as needs --close');
    return undefined;
  }
  if (options['include-missing']) throw new UsageError('--close and --include-missing exclude each other');
  if (as === undefined) return { orderId };
  if (!isClosingAction(as)) throw new UsageError(`--as must be delivered or write_off, got "${as}"`);
  return { orderId, as };
}

const isClosingAction = (as: string): as is ClosingAction => as === 'delivered' || as === 'write_off';

/** Runs the workflow. @throws when another run of this command is open. */
async function reconcileOn(client: Client, input: ReconcileInput): Promise<ReconcileResult> {
  return await client.workflow.execute<typeof reconcile>('reconcile', {
    workflowId: 'reconcile',
    taskQueue: HOUSEKEEPING_TASK_QUEUE,
    workflowExecutionTimeout: WORKFLOW_TIMEOUT,
    args: [input],
  });
}

function formatOrder({ orderId, workflow, result, problem }: ReconciledOrder): string {
  const what = {
    rolled_back: 'rolled back',
    needs_person: `needs a person: ${problem}`,
    planned: 'has ended',
    skipped: 'skipped, because its workflow was reset',
    completed: 'closed as completed',
    written_off: 'written off and refunded',
  };
  return `${orderId} (workflow ${workflow}): ${what[result]}`;
}

const formatSummary = ({ comparedCount, orders, hasMore }: ReconcileResult): string =>
  `${comparedCount} orders without an outcome compared with Temporal, ${orders.length} of them have ended${hasMore ? '; run the command again for the rest' : ''}`;
