import { z } from 'zod';
import { cancelRequest, compensationDecision, deliveryDecision } from '../../../schemas/order.js';
import { describeProblem, parseInputs } from '../forms/problems.js';
import { emptyAsMissing, wholeNumber } from '../query.js';

const SECONDS_PER_HOUR = 3_600;
const MAX_EXTENSION_HOURS = 365 * 24;

const hours = wholeNumber(MAX_EXTENSION_HOURS);
const attempt = wholeNumber(1_000_000);

/** The forms of the page of an order, in the shape that the services accept. */
export const cancelForm = z.object({ reason: emptyAsMissing(cancelRequest.shape.reason) });
export const compensationForm = compensationDecision.extend({ attempt });
export const deliveryForm = deliveryDecision
  .omit({ extendBySeconds: true })
  .extend({
    attempt,
    extendByHours: emptyAsMissing(hours.optional()),
  })
  .transform(({ extendByHours, ...decision }) => ({
    ...decision,
    ...(extendByHours !== undefined && { extendBySeconds: extendByHours * SECONDS_PER_HOUR }),
  }));

/** What a person typed into a form that was invalid. The form is shown again, opened. */
export interface FormDraft {
  form: 'cancel' | 'wait';
  value: string;
}

/** The labels of the inputs that a person types. */
const LABELS: Readonly<Record<string, string>> = { reason: 'Reason', extendByHours: 'Extra time in hours' };

/** Parses a form of the page. A problem in another field means that the form is not from this page. */
export function parseOrderForm<Form>(
  schema: z.ZodType<Form>,
  body: Readonly<Record<string, unknown>>,
): { form: Form; problem?: undefined } | { form?: undefined; problem: string } {
  const { data, problems } = parseInputs(schema, body, ([name]) => ({ label: LABELS[String(name)] ?? '' }));
  if (!problems) return { form: data };
  const [{ pointer, detail } = { pointer: '', detail: '' }] = problems;
  const label = LABELS[pointer.slice(1)];
  return { problem: label === undefined ? INCOMPLETE_FORM : describeProblem(label, detail) };
}

const INCOMPLETE_FORM = 'The form is incomplete. Reload the page and try again';
