import { countOpenBatches, listRunningBatchIds } from '../../open-batches.js';
import { unlabelledGauge, type CollectorContext, type GaugeFamily } from './collector.js';

export async function collectIdleBatches({ client, store }: CollectorContext): Promise<GaugeFamily[]> {
  const idleSeconds = await store.readBatchIdleSeconds(await listRunningBatchIds(client));
  return [
    unlabelledGauge(
      'shop_batch_idle_seconds',
      'Time since the last progress of the running batch that has been idle longest',
      Math.max(0, ...idleSeconds),
    ),
  ];
}

export async function collectOpenBatches({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const { running, paused } = await countOpenBatches(client);
  return [
    {
      name: 'shop_batches_open',
      help: 'Open batches',
      values: [
        { labels: { status: 'running' }, value: running },
        { labels: { status: 'paused' }, value: paused },
      ],
    },
  ];
}

export async function collectBatchProgress({ client, store, operations }: CollectorContext): Promise<GaugeFamily[]> {
  const batches = await store.readBatchStats(await listRunningBatchIds(client));
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
  ];
}
