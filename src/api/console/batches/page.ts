import html from 'html-template-tag';
import type { BatchFailure, BatchResource, BatchStatus } from '../../../schemas/batch.js';
import {
  actionHtml,
  badgeHtml,
  definitionsHtml,
  formatCount,
  noticeHtml,
  pagerHtml,
  retryingHtml,
  tableHtml,
  timeHtml,
  queryString,
  urlHtml,
} from '../components.js';
import { BATCHES_PATH, STATUS_TONES } from './status.js';

/** A page of failed items. */
export interface FailurePage {
  items: readonly BatchFailure[];
  nextCursor?: string | undefined;
}

export interface BatchPage {
  batch: BatchResource;
  /** The first failed items. */
  failures: FailurePage;
  /** Why the last request changed nothing. */
  notice?: string;
}

/** The content of the page of a batch. */
export function batchContent({ batch, failures, notice, toolsHtml }: BatchPage & { toolsHtml: string }): string {
  const { batchId, status, operation, cancelRequested, retrying = [], waiting = [] } = batch;
  return html`<div class="heading">
      <h1>${batchId}</h1>
      $${badgeHtml(status, STATUS_TONES[status])} $${cancelRequested ? badgeHtml('cancelling', 'attention') : ''}
    </div>
    $${notice === undefined ? '' : noticeHtml('bad', html`<p>${notice}</p>`, { alert: true })}
    $${cancelRequested ? CANCELLING_HTML : status === 'paused' ? PAUSED_HTML : ''} $${progressHtml(batch)}
    $${retrying.map(retryingHtml).join('')} $${waiting.map(waitingHtml).join('')}
    <div class="actions">$${actionsOf(batch).map(commandHtml(batch)).join('')}</div>
    $${definitionsHtml([
      ['Operation', html`${operation}`],
      ['Attempt', batch.attempt === 0 ? 'not started' : String(batch.attempt)],
      [
        'Chunks of this attempt',
        html`${formatCount(batch.chunks)}, with at most ${formatCount(batch.itemsPerChunk)} items each`,
      ],
      ['Started', timeHtml(batch.startedAt)],
      ['Ended', timeHtml(batch.closedAt)],
    ])}
    $${failuresHtml(batch, failures)} $${toolsHtml}`;
}

const CANCELLING_HTML = noticeHtml(
  'attention',
  '<p role="status">Cancelling: the running chunks are cancelled, and no further chunk starts. The counts can still rise until they have stopped.</p>',
);

const PAUSED_HTML = noticeHtml(
  'attention',
  '<p role="status">Paused: no further chunk starts. The counts can still rise until the running chunks have stopped.</p>',
);

/** The page with one page of the failed items of a batch. */
export function failuresContent({ batch, failures }: BatchPage, query: { cursor?: string | undefined }): string {
  const path = `${BATCHES_PATH}/${batch.batchId}`;
  return html`<h1>Failed items of ${batch.batchId}</h1>
    <p>
      <a href="$${urlHtml(path)}">Back to the batch</a> · $${formatCount(batch.failed)} of $${formatCount(batch.total)}
      items failed
    </p>
    $${downloadHtml(batch)} $${failureTableHtml(failures)} $${pagerHtml(`${path}/failures`, query, failures.nextCursor)}`;
}

function progressHtml({ total, succeeded, failed, itemsPerSecond, secondsLeft }: BatchResource): string {
  const done = succeeded + failed;
  const rate = itemsPerSecond === undefined ? [] : [`${formatCount(Math.round(itemsPerSecond))} items per second`];
  const left = secondsLeft === undefined ? [] : [`about ${formatDuration(secondsLeft)} left`];
  const counts = [`${formatCount(succeeded)} succeeded`, `${formatCount(failed)} failed`, ...rate, ...left];
  return html`<div class="card">
    <p class="count">${formatCount(done)} of ${formatCount(total)} items done</p>
    <progress max="${String(total)}" value="${String(done)}" aria-label="Items done"></progress>
    <p>${counts.join(' · ')}</p>
  </div>`;
}

/** Formats a duration in its largest units: `2 h 5 min`, `3 min`, `40 s`. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

export const BATCH_COMMANDS = ['pause', 'resume', 'cancel', 'retry'] as const;
export type BatchCommand = (typeof BATCH_COMMANDS)[number];

const TEXTS: Record<BatchCommand, (batch: BatchResource) => { title: string; consequence: string }> = {
  pause: () => ({
    title: 'Pause',
    consequence: 'Running chunks are cancelled. No further chunk starts until you resume the batch.',
  }),
  resume: () => ({ title: 'Resume', consequence: 'The batch continues with the next chunk.' }),
  cancel: () => ({
    title: 'Cancel',
    consequence: 'No further item is processed. Items that are done are not rolled back. You can retry the rest later.',
  }),
  retry: ({ total, succeeded, status }) =>
    status === 'staged'
      ? { title: 'Start', consequence: `Processes all ${formatCount(total)} items.` }
      : {
          title: 'Retry',
          consequence: `Starts another attempt for the ${formatCount(total - succeeded)} items that have not succeeded. Items that succeeded are not processed again.`,
        },
};

/** Whether the batch never changes again. A batch with items that have not succeeded can be retried until its items are deleted. */
export const isFinal = (batch: BatchResource): boolean => !batch.cancelRequested && actionsOf(batch).length === 0;

function actionsOf({ status, cancelRequested, total, succeeded, itemsDeletedAt }: BatchResource): BatchCommand[] {
  if (cancelRequested) return [];
  const open: Partial<Record<BatchStatus, BatchCommand[]>> = {
    running: ['pause', 'cancel'],
    paused: ['resume', 'cancel'],
  };
  return open[status] ?? (succeeded < total && !itemsDeletedAt ? ['retry'] : []);
}

/** A retry has an id, so that a repeated click starts one attempt. The id changes with each execution of the batch. */
const commandHtml = (batch: BatchResource) => (command: BatchCommand) => {
  const { title, consequence } = TEXTS[command](batch);
  return actionHtml({
    title,
    consequence,
    path: `${BATCHES_PATH}/${batch.batchId}/${command}`,
    fields: command === 'retry' ? { of: `${batch.attempt} ${batch.startedAt ?? ''}` } : {},
    confirm: `${title} the batch`,
    isDangerous: command === 'cancel',
  });
};

function failuresHtml(batch: BatchResource, failures: FailurePage): string {
  if (batch.failed === 0) return '';
  if (batch.itemsDeletedAt)
    return html`<h2>Failed items</h2>
      <p>The items were deleted on $${timeHtml(batch.itemsDeletedAt)}, after their retention.</p>`;
  const more =
    batch.failed > failures.items.length
      ? html`<p>
          <a href="$${urlHtml(`${BATCHES_PATH}/${batch.batchId}/failures`)}"
            >All ${formatCount(batch.failed)} failed items</a
          >
        </p>`
      : '';
  return html`<h2>Failed items</h2>
    $${downloadHtml(batch)} $${failureTableHtml(failures)} $${more}`;
}

function downloadHtml({ batchId, operation }: BatchResource): string {
  const path = `${BATCHES_PATH}/${batchId}/failures`;
  // The downloaded CSV file has the separator with which a new form starts.
  const uploadUrl = `${BATCHES_PATH}${queryString({ upload: 'open', operation })}#upload`;
  return html`<p>
      To try them again with other values, download the file, correct it, and
      <a href="$${urlHtml(uploadUrl)}">upload it</a> as a new batch.
    </p>
    <p class="actions">
      <a class="button" href="$${urlHtml(`${path}.csv`)}">Download as CSV</a>
      <a class="button" href="$${urlHtml(`${path}.ndjson`)}">Download as NDJSON</a>
    </p>`;
}

const failureTableHtml = ({ items }: FailurePage): string =>
  tableHtml(
    'Failed items, in the order of the upload',
    [
      { title: 'Line', cellHtml: ({ line }) => formatCount(line), isNumber: true },
      { title: 'Reason', cellHtml: ({ reason }) => html`${reason.message} <span class="hint">${reason.type}</span>` },
      { title: 'Item', cellHtml: ({ item }) => html`<code>${JSON.stringify(item)}</code>` },
    ],
    items,
    'The list of failed items follows within seconds.',
  );

const waitingHtml = ({ step, taskQueue, since }: NonNullable<BatchResource['waiting']>[number]) =>
  noticeHtml(
    'attention',
    html`<p>
      ${step} waits for a worker${taskQueue === undefined ? '' : ` of task queue ${taskQueue}`} since
      $${timeHtml(since)}.
    </p>`,
  );
