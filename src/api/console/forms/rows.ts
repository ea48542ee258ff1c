import { fieldAt, type Field } from './fields.js';
import { type FormValues, readFormValues, withoutEmptyRows } from './values.js';

/** A submitted form. A `change` of the rows shows the form again; nothing is sent. */
export type SubmittedForm = { values: FormValues; isRowChange: boolean };

/**
 * Reads a submitted form. The buttons `_add` and `_remove` name a row that is added or removed, so that lists work
 * without JavaScript.
 */
export function readSubmittedForm(field: Field, body: unknown): SubmittedForm {
  const values = readFormValues(body);
  const { _add: added, _remove: removed } = values;
  if (added !== undefined) {
    const row = fieldAt(field, added);
    // A pointer of a row that the form does not have adds nothing.
    const name = row && leafOf(row, added);
    return { values: name === undefined ? values : { ...values, [name]: values[name] ?? '' }, isRowChange: true };
  }
  if (removed !== undefined) {
    const rest = Object.entries(values).filter(([name]) => name !== removed && !name.startsWith(`${removed}/`));
    return { values: withoutEmptyRows(field, Object.fromEntries(rest)), isRowChange: true };
  }
  return { values: withoutEmptyRows(field, values), isRowChange: false };
}

/** The name of the first input of a field. */
function leafOf(field: Field, pointer: string): string | undefined {
  switch (field.kind) {
    case 'group': {
      const [first] = field.fields;
      return first && leafOf(first, `${pointer}/${first.name}`);
    }
    case 'list':
      return leafOf(field.item, `${pointer}/0`);
    case 'money':
      return `${pointer}/value`;
    default:
      return pointer;
  }
}
