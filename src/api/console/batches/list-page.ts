import html from 'html-template-tag';
import { batchStatus, type BatchSummary } from '../../../schemas/batch.js';
import { pageQuery } from '../../../schemas/shared/page.js';
import { badgeHtml, formatCount, pagerHtml, tableHtml, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml } from '../filter-form.js';
import { createFilterParser, isFiltered, type FilterFields, type ListFilter } from '../query.js';
import { BATCHES_PATH, STATUS_TONES } from './status.js';

const FIELDS = { status: { label: 'Status', options: batchStatus.options } } as const satisfies FilterFields;

export const parseBatchFilter = createFilterParser(pageQuery.extend({ status: batchStatus.optional() }), FIELDS);

interface ListPage {
  /** Undefined if the filter is invalid. */
  page: { items: readonly BatchSummary[]; nextCursor?: string } | undefined;
  filter: ListFilter<unknown>;
  uploadFormHtml: string;
  /** Whether the upload form is open. */
  isUploading: boolean;
}

export function listContent({ page, filter, uploadFormHtml, isUploading }: ListPage): string {
  const open = isUploading ? ' open' : '';
  return html`<div class="heading">
      <h1>Batches</h1>
      <a class="button" href="$${CONSOLE_PATH}/bulk/batches">Act on many batches</a>
    </div>
    <details class="card upload-card" data-keep $${open}>
      <summary>Upload a file and start a batch</summary>
      $${uploadFormHtml}
    </details>
    $${filterHtml({ path: BATCHES_PATH, name: 'Filter batches', fields: FIELDS, filter })}
    $${page ? batchTableHtml(page.items, filter) : ''} $${pagerHtml(BATCHES_PATH, filter.typed, page?.nextCursor)}`;
}

const batchTableHtml = (batches: readonly BatchSummary[], filter: ListFilter<unknown>): string =>
  tableHtml(
    'Batches, newest upload first',
    [
      {
        title: 'Batch',
        cellHtml: ({ batchId }) => html`<a href="$${urlHtml(`${BATCHES_PATH}/${batchId}`)}">${batchId}</a>`,
      },
      { title: 'Operation', cellHtml: ({ operation }) => html`${operation}` },
      { title: 'Status', cellHtml: ({ status }) => badgeHtml(status, STATUS_TONES[status]) },
      { title: 'Items', cellHtml: ({ total }) => formatCount(total), isNumber: true },
      { title: 'Succeeded', cellHtml: ({ succeeded }) => formatCount(succeeded), isNumber: true },
      { title: 'Failed', cellHtml: ({ failed }) => formatCount(failed), isNumber: true },
      { title: 'Uploaded', cellHtml: ({ uploadedAt }) => timeHtml(uploadedAt) },
    ],
    batches,
    isFiltered(filter) ? 'No batch has this status.' : 'There are no batches. Upload a file to start one.',
  );
