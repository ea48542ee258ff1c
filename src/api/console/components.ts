import html from 'html-template-tag';
import type { Retrying } from '../../schemas/shared/execution.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { formatUtcMinute } from '../../text/utc-minute.js';

// HTML that pages of several features share. Parameters named `…Html` are HTML; all others are plain text.

/**
 * A URL for `href`, `src` or `action`. Insert it with `$$`, because the template library removes every other value from
 * these attributes.
 */
export const urlHtml = (url: string): string => html`${url}`;

/** A time. Browsers with JavaScript show it in their own time zone. */
export const timeHtml = (at: string | undefined): string =>
  at === undefined ? '' : html`<time datetime="${at}">${formatUtcMinute(at)}</time>`;

/** A number for people: `12,500`. */
export const formatCount = (count: number): string => count.toLocaleString('en');

export type Tone = 'neutral' | 'active' | 'good' | 'bad' | 'attention';

/** A status as a coloured label. The text alone also conveys the status. */
export const badgeHtml = (text: string, tone: Tone): string =>
  html`<span class="badge ${tone}">${text.replaceAll('_', ' ')}</span>`;

/** A message that stands out. `alert` is read aloud at once by screen readers. */
export const noticeHtml = (tone: Tone, contentHtml: string, { alert = false } = {}): string =>
  alert
    ? html`<div class="notice ${tone}" role="alert">$${contentHtml}</div>`
    : html`<div class="notice ${tone}">$${contentHtml}</div>`;

/** Names with their values. Entries without a value are omitted. */
export function definitionsHtml(entries: [name: string, valueHtml: string | undefined][]): string {
  const items = entries
    .filter(([, valueHtml]) => valueHtml)
    .map(
      ([name, valueHtml]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>$${valueHtml!}</dd>
        </div>`,
    );
  return html`<dl>$${items.join('')}</dl>`;
}

export interface Column<Row> {
  title: string;
  cellHtml: (row: Row) => string;
  /** Right-aligned numbers. */
  isNumber?: boolean;
}

/**
 * A table. On narrow screens, each row is shown as a card, with the column titles beside the values. The roles keep the
 * table for screen readers, because some browsers remove it from elements with `display: block`.
 */
export function tableHtml<Row>(caption: string, columns: Column<Row>[], rows: readonly Row[], empty: string): string {
  if (rows.length === 0) return html`<p class="quiet">${empty}</p>`;
  const { start, rowHtml, end } = tableParts(caption, columns);
  return start + rows.map(rowHtml).join('') + end;
}

/** The parts of a table whose rows are sent one by one. */
export function tableParts<Row>(caption: string, columns: Column<Row>[]) {
  const classOf = ({ isNumber }: Column<Row>) => (isNumber ? 'number' : '');
  const head = columns
    .map((column) => html`<th role="columnheader" scope="col" class="${classOf(column)}">${column.title}</th>`)
    .join('');
  const headHtml = html`<caption class="hidden">
      ${caption}
    </caption>
    <thead role="rowgroup">
      <tr role="row">
        $${head}
      </tr>
    </thead>`;
  return {
    start: `<table role="table">${headHtml}<tbody role="rowgroup">`,
    rowHtml(row: Row): string {
      const cells = columns.map(
        (column) =>
          html`<td role="cell" class="${classOf(column)}" data-title="${column.title}">$${column.cellHtml(row)}</td>`,
      );
      return html`<tr role="row">
        $${cells.join('')}
      </tr>`;
    },
    end: '</tbody></table>',
  };
}

interface Action {
  /** The button that opens the confirmation, for example "Cancel the order". */
  title: string;
  /** Says what will happen, in plain text. */
  consequence: string;
  /** The path to which the form is sent. */
  path: string;
  fields?: Record<string, string>;
  /** Inputs between the consequence and the button. */
  inputsHtml?: string;
  /** The text of the button that confirms. */
  confirm: string;
  isDangerous?: boolean;
  /** Shows the confirmation at once, for example because an input was invalid. */
  isOpen?: boolean;
}

/** A button that opens a confirmation with a form. Works without JavaScript. */
export function actionHtml(action: Action) {
  const { title, consequence, path, fields = {}, inputsHtml = '', confirm, isDangerous, isOpen } = action;
  const hidden = Object.entries(fields)
    .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)
    .join('');
  return html`<details class="action" $${isOpen ? 'open' : ''}>
    <summary>${title}</summary>
    <form method="post" action="$${urlHtml(path)}">
      <p>${consequence}</p>
      $${hidden}$${inputsHtml}
      <button class="${isDangerous ? 'danger' : 'primary'}">${confirm}</button>
    </form>
  </details>`;
}

/** A link to the next page of a list. The first page is the list without a cursor. */
export function pagerHtml(path: string, query: Record<string, string | undefined>, nextCursor: string | undefined) {
  const first =
    query.cursor === undefined
      ? ''
      : html`<a href="$${urlHtml(path + queryString({ ...query, cursor: undefined }))}">First page</a>`;
  const next =
    nextCursor === undefined
      ? ''
      : html`<a rel="next" href="$${urlHtml(path + queryString({ ...query, cursor: nextCursor }))}">Next page</a>`;
  return first || next ? html`<nav class="pager" aria-label="Pages">$${first} $${next}</nav>` : '';
}

/** A query string that starts with `?`; empty if no value is set. */
export function queryString(values: Record<string, string | undefined>): string {
  const set = Object.entries(values).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  return set.length ? `?${new URLSearchParams(set).toString()}` : '';
}

/** The content of a `<textarea>`. Browsers ignore a line break at the start, so one is added. */
export const textareaText = (text: string): string => `\n${text}`;

const optionHtml = (value: string, text: string, selected: string | undefined): string => {
  const isSelected = value === selected ? ' selected' : '';
  return html`<option value="${value}" $${isSelected}>${text}</option>`;
};

/** Options of a `<select>`. An empty value means no choice. */
export const optionsHtml = (values: readonly string[], selected: string | undefined): string =>
  values.map((value) => optionHtml(value, value.replaceAll('_', ' '), selected)).join('');

/** Options of a `<select>` whose values have their own texts. */
export const selectOptionsHtml = (choices: Readonly<Record<string, string>>, selected: string | undefined): string =>
  Object.entries(choices)
    .map(([value, text]) => optionHtml(value, text, selected))
    .join('');

/** A reason as text. Empty without a message, because a type alone, such as `CancelledFailure`, explains nothing. */
export const reasonText = (reason: Reason | undefined): string =>
  reason?.message ? `${reason.type}: ${reason.message}` : '';

/** Says that an activity failed and is retried. */
export function retryingHtml({ step, attempt, nextAttemptAt, lastFailure }: Retrying[number]): string {
  const next = nextAttemptAt ? html`, next at $${timeHtml(nextAttemptAt)}` : '';
  const cause = lastFailure ? ` ${lastFailure.message}` : '';
  return noticeHtml('attention', html`<p>${step} is being retried: attempt ${String(attempt)}$${next}.${cause}</p>`);
}
