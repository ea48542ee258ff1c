import { expect, test } from 'vitest';
import { createRenderer, findNameProblem, pluralOf } from '../../../tools/new/names.js';

test.each(['invoice', 'price-alert', 'address', 'status-report', 'entry', 'a1'])('accepts the name %s', (name) => {
  expect(findNameProblem(name)).toBeUndefined();
});

test.each([
  ['Invoice', 'kebab case'],
  ['price_alert', 'kebab case'],
  ['price--alert', 'kebab case'],
  ['-invoice', 'kebab case'],
  ['../invoice', 'kebab case'],
  ['', 'kebab case'],
  ['1st', 'kebab case'],
  ['invoices', 'singular'],
  ['price-alerts', 'singular'],
  ['class', 'reserved'],
  ['shared', 'reserved'],
  ['a-name-of-twenty-five-char', 'at most 24 characters'],
])('rejects the name %j, and says why: %s', (name, problem) => {
  expect(findNameProblem(name)).toContain(problem);
});

test('accepts a verb phrase that ends with s for a part without a plural', () => {
  expect(findNameProblem('check-details', 'check-credit')).toBeUndefined();
  expect(findNameProblem('CheckDetails', 'check-credit')).toContain('(example: check-credit)');
});

test.each([
  ['invoice', 'invoices'],
  ['price-alert', 'price-alerts'],
  ['entry', 'entries'],
  ['delivery-day', 'delivery-days'],
  ['address', 'addresses'],
  ['box', 'boxes'],
  ['match', 'matches'],
])('forms the plural of %s', (singular, plural) => {
  expect(pluralOf(singular)).toBe(plural);
});

test('replaces all forms of the name in a template, with the correct article', () => {
  const template =
    'Sample cases: a sample case, A sample case; sampleCase SampleCase SAMPLE_CASE sample_case sample-case sampleCases /sample-cases';

  expect(createRenderer('access-entry')(template)).toBe(
    'Access entries: an access entry, An access entry; accessEntry AccessEntry ACCESS_ENTRY access_entry access-entry accessEntries /access-entries',
  );
  expect(createRenderer('user-unit')('a sample case')).toBe('a user unit');
});
