import { waitForAll } from '../../../async/promises.js';
import { listOldestWorkflowIds } from '../../../temporal/monitoring.js';
import { batchIdOf } from '../../../workflows/batch/contract.js';
import { countOpenWorkflows, unlabelledGauge, type CollectorContext, type GaugeFamily } from './collector.js';

/** Only the chunks of the 100 oldest running batches are counted. A stalled batch is old, so it is included. */
const MAX_COUNTED_BATCHES = 100;

export async function collectBatches({ client, store, operations }: CollectorContext): Promise<GaugeFamily[]> {
  const inStatus = (status: string) => `WorkflowType = 'batch' and BatchStatus = '${status}'`;
  const [running, paused, workflowIds] = await waitForAll([
    countOpenWorkflows(client, inStatus('running')),
    countOpenWorkflows(client, inStatus('paused')),
    listOldestWorkflowIds(client, `${inStatus('running')} and ExecutionStatus = 'Running'`, MAX_COUNTED_BATCHES),
  ]);
  const batches = await store.readBatchStats(workflowIds.map(batchIdOf));
  type CountsByState = Record<string, (batch: (typeof batches)[number]) => number>;
  const sumByState = (counts: CountsByState) =>
    [...operations.keys()].flatMap((operation) =>
      Object.entries(counts).map(([state, countOf]) => ({
        labels: { operation, state },
        value: batches
          .filter((batch) => batch.operation === operation)
          .reduce((total, batch) => total + countOf(batch), 0),
      })),
    );
  return [
    {
      name: 'shop_batches_open',
      help: 'Open batches',
      values: [
        { labels: { status: 'running' }, value: running },
        { labels: { status: 'paused' }, value: paused },
      ],
    },
    {
      name: 'shop_batch_items',
      help: 'Items of running batches',
      values: sumByState({
        succeeded: ({ succeeded }) => succeeded,
        failed: ({ failed }) => failed,
        open: ({ total, succeeded, failed }) => total - succeeded - failed,
      }),
    },
    {
      name: 'shop_batch_chunks',
      help: 'Chunks of running batches, in the current attempt of each batch',
      values: sumByState({
        done: ({ chunksDone }) => chunksDone,
        failed: ({ chunksGivenUp }) => chunksGivenUp,
        open: ({ chunks, chunksDone, chunksGivenUp }) => chunks - chunksDone - chunksGivenUp,
      }),
    },
    unlabelledGauge(
      'shop_batch_idle_seconds',
      'Time since the last progress of the running batch that has been idle longest',
      Math.max(0, ...batches.map(({ idleSeconds }) => idleSeconds)),
    ),
  ];
}
