/** A decoded form. Stripe writes `metadata[orderId]=1` and `expand[0]=charge` for nested values. */
export interface Form {
  [name: string]: string | Form | undefined;
}

/** Decodes the body or the query of a call to Stripe. Lists become objects with the keys `0`, `1`, … */
export function decodeForm(text: string): Form {
  const form: Form = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const path = name.split(/[[\]]+/).filter(Boolean);
    const last = path.pop()!;
    let target = form;
    for (const part of path) {
      const existing = target[part];
      target = typeof existing === 'object' ? existing : (target[part] = {});
    }
    target[last] = value;
  }
  return form;
}

/** Whether the call asks to expand `field`. */
export function isExpanded({ expand }: Form, field: string): boolean {
  return typeof expand === 'object' && Object.values(expand).includes(field);
}
