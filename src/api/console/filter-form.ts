import html from 'html-template-tag';
import { noticeHtml, optionsHtml, queryString, selectOptionsHtml, urlHtml } from './components.js';
import { describeProblem } from './forms/problems.js';
import { PAGE_FIELDS, type FilterField, type FilterFields, type ListFilter } from './query.js';

interface FilterForm {
  /** The path of the list. */
  path: string;
  /** The name of the form for screen readers, for example "Filter orders". */
  name: string;
  fields: FilterFields;
  filter: ListFilter<unknown>;
  /** Values that the form keeps. */
  hidden?: Readonly<Record<string, string>>;
}

/** The form that filters a list. An invalid filter is shown as it was typed, with its problems. */
export function filterHtml({ path, name, fields, filter, hidden = {} }: FilterForm): string {
  const kept = Object.entries(hidden).map(
    ([key, value]) => html`<input type="hidden" name="${key}" value="${value}" />`,
  );
  return html`$${problemsHtml(fields, filter)}
    <form class="filters" method="get" action="$${urlHtml(path)}" role="search" aria-label="${name}">
      $${kept.join('')}$${filterFieldsHtml(fields, filter)}
      <button>Filter</button>
      <a href="$${urlHtml(path + queryString(hidden))}">Clear</a>
    </form>`;
}

/** The inputs of a filter. */
export const filterFieldsHtml = (
  fields: FilterFields,
  filter: Pick<ListFilter<unknown>, 'typed' | 'problems'>,
): string =>
  Object.entries(fields)
    .map(([name, field]) => fieldHtml(name, field, filter))
    .join('');

const nameOf = (pointer: string): string => pointer.split('/')[1] ?? '';

/** Why a filter is invalid. Empty if it is valid. */
export function problemsHtml(fields: FilterFields, { problems }: ListFilter<unknown>): string {
  if (problems.length === 0) return '';
  const items = problems.map(({ pointer, detail }) => {
    const name = nameOf(pointer);
    return html`<li id="${name}-problem">
      ${describeProblem((fields[name] ?? PAGE_FIELDS[name])?.label ?? '', detail)}
    </li>`;
  });
  return noticeHtml(
    'bad',
    html`<p>The filter is invalid, so the list is not shown.</p>
      <ul>
        $${items.join('')}
      </ul>`,
    { alert: true },
  );
}

function fieldHtml(
  name: string,
  field: FilterField,
  { typed, problems }: Pick<ListFilter<unknown>, 'typed' | 'problems'>,
): string {
  const { label, options, kind = 'text', hint, placeholder = '', anyText = 'Any' } = field;
  const isInvalid = problems.some(({ pointer }) => nameOf(pointer) === name);
  const state = isInvalid ? html`aria-invalid="true" aria-describedby="${name}-problem"` : '';
  const value = typed[name] ?? '';
  const hintHtml = hint === undefined ? '' : html`<span class="hint">${hint}</span>`;
  if (options) {
    const choices = isList(options) ? optionsHtml(options, value) : selectOptionsHtml(options, value);
    return html`<label
      >${label} $${hintHtml}
      <select name="${name}" $${state}>
        <option value="">${anyText}</option>
        $${choices}
      </select></label
    >`;
  }
  const type = kind === 'day' ? 'date' : kind;
  return html`<label
    >${label} $${hintHtml}
    <input
      type="${type}"
      name="${name}"
      value="${value}"
      placeholder="${placeholder}"
      autocomplete="off"
      autocapitalize="off"
      spellcheck="false"
      $${state}
  /></label>`;
}

const isList = (options: NonNullable<FilterField['options']>): options is readonly string[] => Array.isArray(options);
