import html from 'html-template-tag';
import type { Operation } from '../../../batch-operations/operation.js';
import { CSV_DELIMITERS, MAX_ITEMS_PER_CHUNK } from '../../../schemas/batch.js';
import type { HttpProblem } from '../../problems/http-problem.js';
import { noticeHtml, optionsHtml, tableHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { csvExampleOf, itemFieldsOf, ndjsonExampleOf } from './item-fields.js';
import { capitalize, describeProblem } from '../forms/problems.js';
import { BATCHES_PATH } from './status.js';

/** The fields of the form as the browser sends them, without the file. */
export interface UploadValues {
  operation?: string;
  batchId?: string;
  delimiter?: string;
  itemsPerChunk?: string;
}

/** The fields of the form, as problems name them. */
export const UPLOAD_LABELS: Readonly<Record<string, string>> = {
  operation: 'Operation',
  batchId: 'Batch id',
  delimiter: 'Separator of CSV values',
  itemsPerChunk: 'Items per chunk',
  file: 'File',
};

interface LineProblem {
  line?: number;
  pointer: string;
  detail: string;
}

interface UploadForm {
  operations: readonly Operation[];
  values: UploadValues;
  problem?: HttpProblem | undefined;
}

/** The endings of file names, from which the format of an upload follows. */
export const FILE_NAME_ENDINGS = { csv: ['.csv', '.tsv'], ndjson: ['.ndjson', '.jsonl', '.json'] } as const;

/**
 * The form that uploads a file. The file input is the last one, so that the server knows the other fields before it
 * reads the file.
 */
export function uploadFormHtml({ operations, values, problem }: UploadForm): string {
  const chosen = values.operation ?? operations[0]?.name;
  const accept = Object.values(FILE_NAME_ENDINGS).flat().join(',');
  return html`<form
      class="upload"
      id="upload"
      method="post"
      enctype="multipart/form-data"
      action="$${BATCHES_PATH}/upload"
      data-upload
    >
      $${problem ? problemHtml(problem) : ''}
      <fieldset>
        <legend>What happens to each item</legend>
        $${operations.map((operation) => operationHtml(operation, operation.name === chosen)).join('')}
      </fieldset>
      <div class="row">
        <label
          >Batch id
          <input name="batchId" value="${values.batchId ?? ''}" autocomplete="off" aria-describedby="batch-id-hint" />
          <span class="hint" id="batch-id-hint"
            >A repeated upload with the same id and content starts nothing new.</span
          >
        </label>
        <label
          >Separator of CSV values
          <select name="delimiter">
            $${optionsHtml(Object.keys(CSV_DELIMITERS), values.delimiter)}
          </select>
        </label>
        <label
          >Items per chunk (optional)
          <input name="itemsPerChunk" inputmode="numeric" value="${values.itemsPerChunk ?? ''}" autocomplete="off" />
          <span class="hint">1 to ${MAX_ITEMS_PER_CHUNK.toLocaleString('en')}</span>
        </label>
      </div>
      <label class="drop"
        >File
        <span class="hint">Choose a file or drop it here: CSV with a header row, or one JSON object per line.</span>
        <input type="file" name="file" required accept="${accept}" />
      </label>
      <div class="actions"><button class="primary">Upload and start</button></div>
      <div class="progress" role="status" data-keep></div>
    </form>
    <script type="module" src="$${CONSOLE_PATH}/assets/upload.js"></script>`;
}

function operationHtml(operation: Operation, isChosen: boolean): string {
  const { name } = operation;
  const fields = itemFieldsOf(operation);
  const checked = isChosen ? ' checked' : '';
  return html`<div class="choice">
    <label><input type="radio" name="operation" value="${name}" required $${checked} /> ${name}</label>
    <details>
      <summary>Fields of ${name}: ${fields.map((field) => field.name).join(', ')}</summary>
      $${tableHtml(
        `Fields of ${name}`,
        [
          { title: 'Field', cellHtml: (field) => html`<code>${field.name}</code>` },
          { title: 'Values', cellHtml: (field) => html`${field.description}` },
          { title: 'Required', cellHtml: ({ isRequired }) => (isRequired ? 'yes' : 'no') },
        ],
        fields,
        'The items have no fields.',
      )}
      <p>A CSV file:</p>
      <pre>${csvExampleOf(fields)}</pre>
      <p>A file with one JSON object per line:</p>
      <pre>${ndjsonExampleOf(fields)}</pre>
    </details>
  </div>`;
}

function problemHtml(problem: HttpProblem): string {
  const errors = (problem.options.extensions?.errors ?? []) as LineProblem[];
  // The summary describes the problem of one field.
  const isOneField = errors.length === 1 && errors[0]!.line === undefined;
  const table =
    errors.length === 0 || isOneField
      ? ''
      : tableHtml(
          'Problems of the upload',
          [
            ...(errors.some(({ line }) => line !== undefined)
              ? [{ title: 'Line', cellHtml: ({ line }: LineProblem) => html`${String(line ?? '')}`, isNumber: true }]
              : []),
            { title: 'Field', cellHtml: (problem) => html`${fieldNameOf(problem)}` },
            { title: 'Problem', cellHtml: ({ detail }) => html`${capitalize(detail)}` },
          ],
          errors,
          '',
        );
  return html`$${noticeHtml(
    'bad',
    html`<p>${summaryOf(problem, errors)}.</p>
      <p>Nothing was started. Correct the upload, choose the file again, and send the form.</p>`,
    { alert: true },
  )}
  $${table}`;
}

/** The text of the API, except that it names the fields of the form by JSON pointers. */
function summaryOf({ message }: HttpProblem, errors: readonly LineProblem[]): string {
  const [first] = errors;
  if (first === undefined || first.line !== undefined) return capitalize(message);
  if (errors.length > 1) return `${errors.length} fields are invalid`;
  return describeProblem(fieldNameOf(first), first.detail);
}

/** The label of an input, or the name of the field of an item. */
function fieldNameOf({ line, pointer }: LineProblem): string {
  const name = pointer.slice(1).replaceAll('/', '.');
  return line === undefined ? (UPLOAD_LABELS[name] ?? name) : name;
}
