import html from 'html-template-tag';
import type { InputProblem } from '../../../schemas/shared/input-problems.js';
import { noticeHtml, optionsHtml, urlHtml } from '../components.js';
import { fieldAt, itemLabelOf, type Field } from './fields.js';
import { capitalize, describeProblem } from './problems.js';
import { rowsOf, type FormValues } from './values.js';

/** From this length on, a text gets an input of several lines. */
const LONG_TEXT_LENGTH = 500;

export interface FormState {
  field: Field;
  values: FormValues;
  problems: readonly InputProblem[];
  /** The path of the page. Buttons that add or remove a row send the form there. */
  path: string;
}

/** The inputs of a form, with the problems beside them. */
export function inputsHtml(state: FormState): string {
  const { field } = state;
  if (field.kind !== 'group') throw new Error('a form needs the schema of an object');
  return field.fields.map((inner) => fieldHtml(state, inner, `/${inner.name}`)).join('');
}

/** Lists all problems of a form, each with a link to its input. Empty if there are none. */
export function problemSummaryHtml({ field, problems }: Pick<FormState, 'field' | 'problems'>): string {
  if (problems.length === 0) return '';
  const items = problems.map(({ pointer, detail }) => {
    const text = html`${describeProblem(labelPathOf(field, pointer) || pointer, detail)}`;
    return html`<li>
      $${pointer === '' ? text : html`<a href="$${urlHtml(`#${inputIdOf(field, pointer)}`)}">$${text}</a>`}
    </li>`;
  });
  const content = html`<p>Nothing was sent. Please correct:</p>
    <ul>
      $${items.join('')}
    </ul>`;
  return noticeHtml('bad', content, { alert: true });
}

function fieldHtml(state: FormState, field: Field, pointer: string): string {
  switch (field.kind) {
    case 'group':
      return fieldsetHtml(
        { id: pointer, legend: field.label, hint: field.hint },
        field.fields.map((inner) => fieldHtml(state, inner, `${pointer}/${inner.name}`)).join(''),
      );
    case 'list':
      return listHtml(state, field, pointer);
    case 'money':
      return moneyHtml(state, field, pointer);
    default:
      return inputHtml(state, field, { pointer, label: labelHtml(field), hint: hintOf(field) });
  }
}

const labelHtml = ({ label, isRequired }: Field) =>
  isRequired ? html`${label}` : html`${label} <span class="quiet">(optional)</span>`;

const fieldsetHtml = (
  { id, legend, hint }: { id: string; legend: string; hint?: string | undefined },
  contentHtml: string,
) =>
  html`<fieldset id="${id}" tabindex="-1">
    <legend>${legend}</legend>
    $${hint === undefined ? '' : html`<p class="hint">${hint}</p>`} $${contentHtml}
  </fieldset>`;

function listHtml(state: FormState, field: Extract<Field, { kind: 'list' }>, pointer: string): string {
  const { values, path, problems } = state;
  const { item, minItems, label, hint } = field;
  const rows = rowsOf(pointer, values);
  for (let row = (rows.at(-1) ?? -1) + 1; rows.length < minItems; row += 1) rows.push(row);
  const itemLabel = itemLabelOf(field);
  const next = `${pointer}/${(rows.at(-1) ?? -1) + 1}`;
  const rowsHtml = rows.map((row, index) => {
    const rowPointer = `${pointer}/${row}`;
    const inputs =
      item.kind === 'group'
        ? item.fields.map((inner) => fieldHtml(state, inner, `${rowPointer}/${inner.name}`)).join('')
        : fieldHtml(state, item, rowPointer);
    const remove =
      rows.length > minItems
        ? html`<button
            class="plain"
            name="_remove"
            value="${rowPointer}"
            formaction="$${urlHtml(`${path}#${pointer}`)}"
          >
            Remove ${itemLabel.toLowerCase()} ${String(index + 1)}
          </button>`
        : '';
    return fieldsetHtml(
      { id: rowPointer, legend: `${itemLabel} ${index + 1}` },
      html`<div class="row">$${inputs}</div>
        $${remove}`,
    );
  });
  const own = problems.filter((problem) => problem.pointer === pointer);
  return fieldsetHtml(
    { id: pointer, legend: label, hint },
    html`$${wrongHtml(own)}$${rowsHtml.join('')}
      <button name="_add" value="${next}" formaction="$${urlHtml(`${path}#${next}`)}">
        Add ${/^(A|E|I|O|U)/.test(itemLabel) ? 'an' : 'a'} ${itemLabel.toLowerCase()}
      </button>`,
  );
}

function moneyHtml(state: FormState, field: Extract<Field, { kind: 'money' }>, pointer: string): string {
  const amount = { pointer: `${pointer}/value`, label: labelHtml(field), hint: field.hint };
  const currency = { pointer: `${pointer}/currency`, label: html`Currency of ${field.label.toLowerCase()}`, hint: '' };
  const choice: Field = { ...field, isRequired: true, kind: 'choice', options: field.currencies };
  const text: Field = { ...field, kind: 'text', maxLength: undefined, example: '19.99' };
  const withDefault = { ...state, values: { [currency.pointer]: 'EUR', ...state.values } };
  return html`<div class="row">$${inputHtml(state, text, amount)} $${inputHtml(withDefault, choice, currency)}</div>`;
}

interface Input {
  pointer: string;
  label: string;
  hint: string | undefined;
}

function inputHtml({ values, problems }: FormState, field: Field, { pointer, label, hint }: Input): string {
  const own = problems.filter((problem) => problem.pointer === pointer);
  const described = [hint && `${pointer}-hint`, own.length > 0 && `${pointer}-wrong`].filter(Boolean).join(' ');
  const attributes = [
    html`id="${pointer}" name="${pointer}"`,
    field.isRequired ? 'required' : '',
    described ? html`aria-describedby="${described}"` : '',
    own.length > 0 ? 'aria-invalid="true"' : '',
  ].join(' ');
  return html`<div class="field">
    <label for="${pointer}">$${label}</label>
    $${controlHtml(field, values[pointer] ?? '', attributes)}
    $${hint ? html`<p class="hint" id="${pointer}-hint">${hint}</p>` : ''} $${wrongHtml(own, `${pointer}-wrong`)}
  </div>`;
}

function controlHtml(field: Field, value: string, attributes: string): string {
  switch (field.kind) {
    case 'choice': {
      const none = field.isRequired ? '' : '<option value=""></option>';
      return html`<select $${attributes}>
        $${none}$${optionsHtml(field.options, value)}
      </select>`;
    }
    case 'integer':
      return html`<input inputmode="numeric" autocomplete="off" value="${value}" $${attributes} />`;
    case 'text': {
      const { maxLength = 0, example } = field;
      // The line break after the tag belongs to the syntax, and not to the text.
      if (maxLength >= LONG_TEXT_LENGTH && example === undefined)
        return html`<textarea $${attributes}>${value}</textarea>`;
      return html`<input autocomplete="off" value="${value}" placeholder="${example ?? ''}" $${attributes} />`;
    }
    default:
      throw new Error(`${field.name} has no single input`);
  }
}

/** Explains a field, with its limits. */
function hintOf(field: Field): string {
  const { hint = '' } = field;
  if (field.kind !== 'integer') return hint;
  const limits = `${field.minimum.toLocaleString('en')} to ${field.maximum.toLocaleString('en')}.`;
  return `${hint} ${limits}`.trim();
}

function wrongHtml(problems: readonly InputProblem[], id?: string): string {
  if (problems.length === 0) return '';
  const text = problems.map(({ detail }) => capitalize(detail)).join('; ');
  return id === undefined ? html`<p class="wrong">${text}</p>` : html`<p class="wrong" id="${id}">${text}</p>`;
}

/** Names the input of a problem as the form does: `/lines/0/sku` becomes `Line 1, SKU`. */
function labelPathOf(field: Field, pointer: string): string {
  const labels: string[] = [];
  let current: Field | undefined = field;
  for (const part of pointer.split('/').slice(1)) {
    if (current?.kind === 'list') {
      labels[labels.length - 1] = `${itemLabelOf(current)} ${Number(part) + 1}`;
      current = current.item;
    } else if (current?.kind === 'group') {
      current = current.fields.find(({ name }) => name === part);
      if (!current) return '';
      labels.push(current.label);
    }
  }
  return labels.join(', ');
}

/** The id of the element to which a problem belongs. An amount has its input below its own pointer. */
const inputIdOf = (field: Field, pointer: string): string =>
  fieldAt(field, pointer)?.kind === 'money' ? `${pointer}/value` : pointer;
