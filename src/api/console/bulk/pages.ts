import html from 'html-template-tag';
import { DEFAULT_BULK_ITEMS, MAX_BULK_COUNT, MAX_BULK_ITEMS, type BulkResult } from '../../../schemas/bulk.js';
import { formatCount, noticeHtml, selectOptionsHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';

/** The texts and paths of the actions on one kind of resource. */
export interface BulkSubject {
  title: string;
  /** The last part of the path of the page, and of the path of the page of one resource. */
  path: string;
  one: string;
  many: string;
  /** The texts of the actions, by name. */
  actions: Record<string, { label: string; appliesTo: string; consequence: string; isDangerous?: boolean }>;
}

export interface BulkForm {
  action: string;
  limit: string;
  /** The values of the filter, which the form keeps. */
  filter: Record<string, string>;
}

interface PreviewPage {
  subject: BulkSubject;
  form: BulkForm;
  /** The inputs of the filter. */
  filterHtml: string;
  formId: string;
  preview?: BulkResult;
  /** Why the filter or the limit is invalid. */
  problem?: string;
}

export function previewContent(page: PreviewPage): string {
  const { subject, problem, preview } = page;
  const notice = problem === undefined ? '' : noticeHtml('bad', html`<p>${problem}.</p>`, { alert: true });
  return html`<h1>${subject.title}</h1>
    $${notice} $${selectionHtml(page)} $${preview ? previewHtml(preview, page) : ''}
    <p><a href="$${urlHtml(`${CONSOLE_PATH}/${subject.path}`)}">All ${subject.many}</a></p>`;
}

function selectionHtml({ subject, form, filterHtml }: PreviewPage): string {
  const labels = Object.fromEntries(Object.entries(subject.actions).map(([name, { label }]) => [name, label]));
  return html`<form
    class="filters"
    method="get"
    action="$${urlHtml(`${CONSOLE_PATH}/bulk/${subject.path}`)}"
    aria-label="Selection"
  >
    <label
      >Action
      <select name="action">
        $${selectOptionsHtml(labels, form.action)}
      </select></label
    >
    $${filterHtml}
    <label
      >At most (1 to ${String(MAX_BULK_ITEMS)})
      <input name="limit" inputmode="numeric" value="${form.limit || String(DEFAULT_BULK_ITEMS)}" autocomplete="off"
    /></label>
    <button>Preview</button>
  </form>`;
}

function previewHtml({ matchCount, hasMore, items }: BulkResult, { subject, form, formId }: PreviewPage): string {
  const { label, appliesTo, consequence, isDangerous } = subject.actions[form.action]!;
  if (items.length === 0) return html`<p>No ${subject.one} matches. The action applies to ${appliesTo}.</p>`;
  const count = hasMore ? `More than ${formatCount(MAX_BULK_COUNT)}` : formatCount(matchCount);
  const text = matchCount === 1 && !hasMore ? `1 ${subject.one} matches.` : `${count} ${subject.many} match.`;
  const selected = items.length < matchCount || hasMore ? `The newest ${items.length} of them are selected. ` : '';
  const reason =
    form.action === 'cancel'
      ? html`<label>Reason (optional) <input name="reason" maxlength="500" autocomplete="off" /></label>`
      : '';
  const links = items.map(({ id }) => html`<li>$${linkHtml(subject, id)}</li>`).join('');
  const path = `${CONSOLE_PATH}/bulk/${subject.path}`;
  return html`<h2>${text}</h2>
    <p>${selected}${consequence}</p>
    <details>
      <summary>Show the selected ${subject.many}</summary>
      <ul class="ids">
        $${links}
      </ul>
    </details>
    <form class="card slim" method="post" action="$${urlHtml(path)}">
      <input type="hidden" name="form" value="${formId}" />
      <input type="hidden" name="action" value="${form.action}" />
      <input type="hidden" name="ids" value="${items.map(({ id }) => id).join(' ')}" />
      $${reason}
      <p>Only the selected ${subject.many} change. The next page shows the result of each.</p>
      <button class="${isDangerous ? 'danger' : 'primary'}">${label} (${String(items.length)})</button>
    </form>`;
}

export const linkHtml = ({ path }: BulkSubject, id: string) =>
  html`<a class="code" href="$${urlHtml(`${CONSOLE_PATH}/${path}/${id}`)}">${id}</a>`;
